import type { Api } from './endpoint.ts'
import { apiVersionApi } from './brig/api-version.ts'
import { assetsApi } from './cargohold/assets.ts'

/**
 * Every public api by the service that answers it. nginz routes by it, OpenAPI is made from it, and
 * the gates walk it.
 */
export const publicApis: Readonly<Record<string, readonly Api[]>> = {
  brig: [apiVersionApi],
  cargohold: [assetsApi],
}
