import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'

/** Signature schemes of MLS by the names that Wire gives them. */
export const SignatureScheme = z.enum([
  'ed25519',
  'ecdsa_secp256r1_sha256',
  'ecdsa_secp384r1_sha384',
  'ecdsa_secp521r1_sha512',
])
export type SignatureScheme = z.infer<typeof SignatureScheme>

/** RFC 7517; `y` for elliptic curves other than Ed25519. */
export const JsonWebKey = z.object({
  kty: z.string(),
  crv: z.string(),
  x: z.string(),
  y: z.string().optional(),
})
export type JsonWebKey = z.infer<typeof JsonWebKey>

export const mlsKeysApi = {
  /** Raw keys are base64: 32 bytes of Ed25519, or an uncompressed point. */
  getMlsPublicKeys: endpoint({
    method: 'GET',
    path: '/mls/public-keys',
    versions: since(0),
    auth: 'user',
    summary: 'The keys by which the server removes members of MLS groups',
    query: z.object({ format: z.enum(['raw', 'jwk']).default('raw') }),
    responses: {
      200: z.object({
        removal: z.record(SignatureScheme, z.union([z.base64(), JsonWebKey])),
      }),
    },
    errors: [],
  }),
}
