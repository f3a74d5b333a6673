import type { EndpointDeclaration } from '../../backend/src/contract/endpoint.ts'
import { newestVersion } from '../../backend/src/contract/endpoint.ts'
import { publicApis } from '../../backend/src/contract/public.ts'

export interface PublicEndpoint {
  /** As its contract calls it, with the service where two have the same name. */
  readonly name: string
  readonly declaration: EndpointDeclaration
}

export const publicEndpoints: readonly PublicEndpoint[] = Object.entries(publicApis).flatMap(
  ([service, apis]) =>
    apis.flatMap((api) =>
      Object.entries(api as Readonly<Record<string, EndpointDeclaration>>).map(
        ([name, declaration]) => ({ name: `${service}.${name}`, declaration }),
      ),
    ),
)

/** The newest version that the endpoint answers, as a prefix. */
export const prefixOf = ({ versions }: EndpointDeclaration): string =>
  `/v${String(Math.min(versions.last, newestVersion))}`
