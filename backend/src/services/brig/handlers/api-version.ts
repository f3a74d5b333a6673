import type { apiVersionApi } from '../../../contract/brig/api-version.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { newestVersion, oldestVersion } from '../../../contract/endpoint.ts'
import type { Domain } from '../../../contract/ids.ts'

const supported = Array.from(
  { length: newestVersion - oldestVersion + 1 },
  (_, index) => oldestVersion + index,
)

export function apiVersionHandlers(deps: { domain: Domain }): Handlers<typeof apiVersionApi> {
  return {
    getApiVersion: () =>
      Promise.resolve({
        status: 200,
        body: { supported, development: [], federation: false, domain: deps.domain },
      }),
  }
}
