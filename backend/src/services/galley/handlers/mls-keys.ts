import type { Handlers } from '../../../contract/endpoint.ts'
import {
  SignatureScheme,
  type JsonWebKey,
  type mlsKeysApi,
} from '../../../contract/galley/mls-keys.ts'
import { publicJwk, publicRaw } from '../rules/removal-keys.ts'
import type { RemovalKeys } from '../store/removal-keys.ts'

export function mlsKeysHandlers(deps: {
  readonly removalKeys: RemovalKeys
}): Handlers<typeof mlsKeysApi> {
  const inFormat = (format: (key: RemovalKeys[SignatureScheme]) => string | JsonWebKey) =>
    Object.fromEntries(
      SignatureScheme.options.map((scheme) => [scheme, format(deps.removalKeys[scheme])]),
    ) as Record<SignatureScheme, string | JsonWebKey>
  const replies = { raw: inFormat(publicRaw), jwk: inFormat(publicJwk) }

  return {
    async getMlsPublicKeys({ query }) {
      return { status: 200, body: { removal: replies[query.format] } }
    },
  }
}
