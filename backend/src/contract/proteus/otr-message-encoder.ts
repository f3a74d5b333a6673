import type { ClientId, UserId } from '../ids.ts'
import type { MismatchStrategy, OtrMessage } from './otr-message.ts'
import { bytesField, varintField } from './protobuf-reader.ts'

/** Encodes a `QualifiedNewOtrMessage` as clients do; for tests and benchmarks. */
export function encodeOtrMessage(message: OtrMessage): Uint8Array {
  const domains = Array.from(message.recipients, ([domain, users]) => {
    const entries = Array.from(users, ([user, texts]) => bytes(2, userEntry(user, texts)))
    return bytes(2, join([bytes(1, text(domain)), ...entries]))
  })
  return join([
    bytes(1, clientId(message.sender)),
    ...domains,
    number(3, message.nativePush ? 1 : 0),
    ...(message.data ? [bytes(4, message.data)] : []),
    ...(message.nativePriority ? [number(5, message.nativePriority === 'low' ? 1 : 2)] : []),
    number(6, message.transient ? 1 : 0),
    strategy(message.strategy),
  ])
}

function userEntry(user: UserId, texts: ReadonlyMap<ClientId, Uint8Array>): Uint8Array {
  const clients = Array.from(texts, ([client, ciphertext]) =>
    bytes(2, join([bytes(1, clientId(client)), bytes(2, ciphertext)])),
  )
  return join([bytes(1, bytes(1, uuid(user))), ...clients])
}

const strategyFields = {
  'report-all': 7,
  'ignore-all': 8,
  'report-only': 9,
  'ignore-only': 10,
} as const

function strategy(strategy: MismatchStrategy): Uint8Array {
  const users = 'users' in strategy ? strategy.users : []
  const ids = users.map(({ id, domain }) =>
    bytes(1, join([bytes(1, text(id)), bytes(2, text(domain))])),
  )
  return bytes(strategyFields[strategy.kind], join(ids))
}

const clientId = (client: ClientId) => number(1, BigInt(`0x${client}`))
const uuid = (id: UserId) =>
  Uint8Array.from(id.replaceAll('-', '').match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
const text = (value: string) => new TextEncoder().encode(value)

const number = (field: number, value: number | bigint) =>
  Uint8Array.of(...varint(varintField(field)), ...varint(value))
const bytes = (field: number, value: Uint8Array) =>
  join([Uint8Array.of(...varint(bytesField(field)), ...varint(value.length)), value])

function varint(value: number | bigint): number[] {
  const groups: number[] = []
  let rest = BigInt(value)
  for (; rest > 0x7fn; rest >>= 7n) groups.push(Number(rest & 0x7fn) | 0x80)
  return [...groups, Number(rest)]
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
