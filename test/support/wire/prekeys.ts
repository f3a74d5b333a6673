import { generateKeyPairSync } from 'node:crypto'

/** A prekey as `POST /clients` takes it: `key` is base64 of a Proteus prekey bundle in CBOR. */
export interface Prekey {
  readonly id: number
  readonly key: string
}

export interface DeviceKeys {
  readonly prekeys: Prekey[]
  readonly lastkey: Prekey
}

export const LAST_RESORT_PREKEY_ID = 65_535

type Cbor = null | number | Uint8Array | ReadonlyMap<number, Cbor>

/** The few CBOR items (RFC 8949 §3) that a prekey bundle is made of. */
export function encodeCbor(item: Cbor): Uint8Array {
  if (item === null) return Uint8Array.of(0xf6)
  if (typeof item === 'number') return cborHead(0, item)
  if (item instanceof Uint8Array) return Buffer.concat([cborHead(2, item.length), item])
  const entries = [...item].flatMap(([key, value]) => [encodeCbor(key), encodeCbor(value)])
  return Buffer.concat([cborHead(5, item.size), ...entries])
}

function cborHead(majorType: number, value: number): Uint8Array {
  const type = majorType << 5
  if (value < 24) return Uint8Array.of(type | value)
  if (value < 0x100) return Uint8Array.of(type | 24, value)
  if (value < 0x1_0000) return Uint8Array.of(type | 25, value >> 8, value & 0xff)
  throw new RangeError(`No prekey bundle holds ${value}`)
}

/** The 32 bytes of a fresh Ed25519 public key: Proteus refuses bytes that are no point. */
export function newPublicKey(): Uint8Array {
  const { publicKey } = generateKeyPairSync('ed25519')
  return Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
}

/** A prekey bundle without signature: version 1, id, key, identity. */
export function prekeyBundle(id: number, identity: Uint8Array, key = newPublicKey()): Uint8Array {
  return encodeCbor(
    new Map<number, Cbor>([
      [0, 1],
      [1, id],
      [2, new Map([[0, key]])],
      [3, new Map([[0, new Map([[0, identity]])]])],
      [4, null],
    ]),
  )
}

export function newPrekey(id: number, identity: Uint8Array): Prekey {
  return { id, key: Buffer.from(prekeyBundle(id, identity)).toString('base64') }
}

/** The keys of a new device, with one identity and prekeys `0 … count - 1`. */
export function newDeviceKeys(count: number, identity = newPublicKey()): DeviceKeys {
  const prekeys = Array.from({ length: count }, (_, id) => newPrekey(id, identity))
  return { prekeys, lastkey: newPrekey(LAST_RESORT_PREKEY_ID, identity) }
}
