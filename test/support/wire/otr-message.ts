import type { QualifiedId } from './wire-types.ts'

/** Ciphertext by domain, user and device. */
export type Recipients = Readonly<
  Record<string, Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>>
>

/** Which missing devices the server reports instead of delivering. */
export type MismatchStrategy =
  | 'report-all'
  | 'ignore-all'
  | { readonly reportOnly: readonly QualifiedId[] }
  | { readonly ignoreOnly: readonly QualifiedId[] }

export interface OtrMessage {
  /** The sending device, hex. */
  readonly sender: string
  readonly recipients: Recipients
  readonly nativePush?: boolean
  /** Bytes that every recipient gets, beside their own. */
  readonly blob?: Uint8Array
  readonly priority?: 'low' | 'high'
  readonly transient?: boolean
  /** Left out altogether when `undefined` is given, which no server may accept. */
  readonly strategy?: MismatchStrategy | undefined
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

function numberField(tag: number, value: bigint | number): Uint8Array {
  return Buffer.concat([varint(BigInt(tag << 3)), varint(BigInt(value))])
}

function bytesField(tag: number, ...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)))
  return Buffer.concat([varint(BigInt((tag << 3) | 2)), varint(BigInt(content.length)), content])
}

const deviceId = (hex: string): Uint8Array => numberField(1, BigInt(`0x${hex}`))
const uuidBytes = (uuid: string): Uint8Array => Buffer.from(uuid.replaceAll('-', ''), 'hex')

function userList(users: readonly QualifiedId[]): Uint8Array[] {
  return users.map(({ id, domain }) => bytesField(1, bytesField(1, id), bytesField(2, domain)))
}

function strategyField(strategy: MismatchStrategy): Uint8Array {
  if (strategy === 'report-all') return bytesField(7)
  if (strategy === 'ignore-all') return bytesField(8)
  if ('reportOnly' in strategy) return bytesField(9, ...userList(strategy.reportOnly))
  return bytesField(10, ...userList(strategy.ignoreOnly))
}

/**
 * `QualifiedNewOtrMessage` (proto2) in its wire form. Written out by hand and not with the server's
 * codec, so that a mistake in that codec shows.
 */
export function encodeOtrMessage(message: OtrMessage): Uint8Array {
  const { sender, recipients, nativePush, blob, priority, transient } = message
  const strategy = 'strategy' in message ? message.strategy : 'report-all'
  const domains = Object.entries(recipients).map(([domain, users]) => {
    const entries = Object.entries(users).map(([user, devices]) => {
      const clients = Object.entries(devices).map(([device, text]) =>
        bytesField(2, bytesField(1, deviceId(device)), bytesField(2, text)),
      )
      return bytesField(2, bytesField(1, bytesField(1, uuidBytes(user))), ...clients)
    })
    return bytesField(2, bytesField(1, domain), ...entries)
  })
  return Buffer.concat([
    bytesField(1, deviceId(sender)),
    ...domains,
    ...(nativePush === undefined ? [] : [numberField(3, nativePush ? 1 : 0)]),
    ...(blob ? [bytesField(4, blob)] : []),
    ...(priority ? [numberField(5, priority === 'low' ? 1 : 2)] : []),
    ...(transient === undefined ? [] : [numberField(6, transient ? 1 : 0)]),
    ...(strategy ? [strategyField(strategy)] : []),
  ])
}

/** The same text for each device of each user, as if it had been encrypted. */
export function sameForAll(
  devices: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>,
  text: string,
): Recipients {
  const bytes = Buffer.from(text, 'utf8')
  return Object.fromEntries(
    Object.entries(devices).map(([domain, users]) => [
      domain,
      Object.fromEntries(
        Object.entries(users).map(([user, ids]) => [
          user,
          Object.fromEntries(ids.map((id) => [id, bytes])),
        ]),
      ),
    ]),
  )
}
