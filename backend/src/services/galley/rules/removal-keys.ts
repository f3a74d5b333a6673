import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { JsonWebKey, SignatureScheme } from '../../../contract/galley/mls-keys.ts'

const curves = {
  ecdsa_secp256r1_sha256: 'P-256',
  ecdsa_secp384r1_sha384: 'P-384',
  ecdsa_secp521r1_sha512: 'P-521',
} as const

/** A private key for signing what the server does to MLS groups (RFC 9420 §5.1.2, §12.1.8). */
export function generateRemovalKey(scheme: SignatureScheme): KeyObject {
  return scheme === 'ed25519'
    ? generateKeyPairSync('ed25519').privateKey
    : generateKeyPairSync('ec', { namedCurve: curves[scheme] }).privateKey
}

/** RFC 7518 §6.2.1, RFC 8037 §2. */
export function publicJwk(key: KeyObject): JsonWebKey {
  const { kty, crv, x, y } = createPublicKey(key).export({ format: 'jwk' })
  if (kty === undefined || crv === undefined || x === undefined) {
    throw new TypeError('the key is not one for signatures')
  }
  return { kty, crv, x, ...(y !== undefined && { y }) }
}

/** As MLS has them (RFC 9420 §5.1.1): 32 bytes of Ed25519, or an uncompressed point. Base64. */
export function publicRaw(key: KeyObject): string {
  const { x, y } = publicJwk(key)
  const coordinates = [x, ...(y === undefined ? [] : [y])].map((text) =>
    Buffer.from(text, 'base64url'),
  )
  const bytes = y === undefined ? coordinates : [Buffer.of(4), ...coordinates]
  return Buffer.concat(bytes).toString('base64')
}
