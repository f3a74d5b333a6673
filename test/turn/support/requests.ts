/** The same requests to any TURN server, in the same order, and what of each answer is comparable. */
import { openClient, type Answer, type TurnClient } from './client.ts'
import type { TurnServer } from './turn-server.ts'
import {
  addressFamily,
  attributeName,
  attributes,
  channelNumber,
  evenPort,
  lifetime,
  longTermKey,
  methods,
  requestedTransport,
  text,
  uint32,
  xorAddress,
  type Attribute,
} from './stun.ts'

/** Class, method, code and the set of attributes; or that there was no answer. */
export type Comparable = string

export function comparable(answer: Answer | undefined): Comparable {
  if (answer === undefined) return 'silence'
  const { message, code } = answer
  const names = [...new Set(message.attributes.map(({ type }) => attributeName(type)))].toSorted()
  const method = Object.entries(methods).find(([, value]) => value === message.method)?.[0]
  return `${method ?? String(message.method)} ${message.class} ${String(code ?? '-')} ${names.join(' ')}`
}

export interface Conversation {
  readonly name: string
  /** What is asked, in order; the last answer is compared. */
  run(client: TurnClient, server: TurnServer): Promise<Answer | undefined>
}

const peer = (host: string, port: number) => (transactionId: Buffer) =>
  xorAddress(attributes.xorPeerAddress, { host, port }, transactionId)

const unknownRequired: Attribute = uint32(0x7ff0, 1)
const unknownOptional: Attribute = uint32(0xfff0, 1)

/** Signed, after the refusal that tells realm and nonce. */
function allocating(...given: readonly Attribute[]): Conversation['run'] {
  return async (client) => {
    await client.greet()
    return client.ask(methods.allocate, given)
  }
}

/** In an allocation. */
function within(run: (client: TurnClient) => Promise<Answer | undefined>): Conversation['run'] {
  return async (client) => {
    await client.allocate()
    return run(client)
  }
}

const withoutAllocation =
  (method: number): Conversation['run'] =>
  async (client) => {
    await client.greet()
    return client.ask(method, (id) => [channelNumber(0x4000), peer('127.0.0.2', 9)(id)])
  }

const bindingWith =
  (channel: number | undefined, host: string | undefined, port = 9) =>
  (client: TurnClient): Promise<Answer | undefined> =>
    client.ask(methods.channelBind, (id) => [
      ...(channel === undefined ? [] : [channelNumber(channel)]),
      ...(host === undefined ? [] : [peer(host, port)(id)]),
    ])

export const conversations: readonly Conversation[] = [
  { name: 'Binding', run: (client) => client.ask(methods.binding) },
  {
    name: 'Binding with a fingerprint',
    run: (client) => client.ask(methods.binding, [], { writing: { hasFingerprint: true } }),
  },
  {
    name: 'Binding with an unknown attribute that must be understood',
    run: (client) => client.ask(methods.binding, [unknownRequired]),
  },
  {
    name: 'Binding with an unknown attribute that may be ignored',
    run: (client) => client.ask(methods.binding, [unknownOptional]),
  },
  { name: 'Allocate, unsigned', run: (client) => client.greet() },
  {
    name: 'Allocate, unsigned, with a fingerprint',
    run: (client) =>
      client.ask(methods.allocate, [requestedTransport()], { writing: { hasFingerprint: true } }),
  },
  { name: 'Allocate', run: allocating(requestedTransport()) },
  {
    name: 'Allocate with an unknown attribute that may be ignored',
    run: allocating(requestedTransport(), unknownOptional),
  },
  {
    name: 'Allocate with an unknown attribute that must be understood',
    run: allocating(requestedTransport(), unknownRequired),
  },
  { name: 'Allocate without REQUESTED-TRANSPORT', run: allocating() },
  { name: 'Allocate for TCP', run: allocating(requestedTransport(6)) },
  { name: 'Allocate for protocol 99', run: allocating(requestedTransport(99)) },
  { name: 'Allocate for an hour', run: allocating(requestedTransport(), lifetime(3600)) },
  { name: 'Allocate for 0 seconds', run: allocating(requestedTransport(), lifetime(0)) },
  { name: 'Allocate of an even port', run: allocating(requestedTransport(), evenPort(false)) },
  {
    name: 'Allocate of an even port and the next',
    run: allocating(requestedTransport(), evenPort(true)),
  },
  {
    name: 'Allocate with a token that nobody gave',
    run: allocating(requestedTransport(), {
      type: attributes.reservationToken,
      value: Buffer.alloc(8, 3),
    }),
  },
  {
    name: 'Allocate with a token and EVEN-PORT',
    run: allocating(requestedTransport(), evenPort(false), {
      type: attributes.reservationToken,
      value: Buffer.alloc(8, 3),
    }),
  },
  { name: 'Allocate of IPv4', run: allocating(requestedTransport(), addressFamily(1)) },
  {
    name: 'Allocate of IPv6, which is not offered',
    run: allocating(requestedTransport(), addressFamily(2)),
  },
  { name: 'Allocate of family 3', run: allocating(requestedTransport(), addressFamily(3)) },
  {
    name: 'Allocate that must not be fragmented',
    run: allocating(requestedTransport(), {
      type: attributes.dontFragment,
      value: Buffer.alloc(0),
    }),
  },
  {
    name: 'Allocate, a second one',
    run: within((client) => client.ask(methods.allocate, [requestedTransport()])),
  },
  {
    name: 'Allocate with a wrong password',
    run: async (client) => {
      await client.greet()
      return client.ask(methods.allocate, [requestedTransport()], { key: Buffer.alloc(16, 1) })
    },
  },
  {
    name: 'Allocate of an unknown user',
    run: async (client) => {
      await client.greet()
      return client.ask(methods.allocate, [requestedTransport()], { username: 'nobody' })
    },
  },
  {
    name: 'Allocate with a nonce of somebody else',
    run: async (client) => {
      await client.greet()
      return client.ask(methods.allocate, [requestedTransport()], { nonce: '0123456789abcdef' })
    },
  },
  ...(['username', 'realm', 'nonce'] as const).map((part) => ({
    name: `Allocate, signed, without ${part}`,
    run: async (client: TurnClient) => {
      await client.greet()
      return client.ask(methods.allocate, [requestedTransport()], { without: [part] })
    },
  })),
  { name: 'Refresh without an allocation', run: withoutAllocation(methods.refresh) },
  {
    name: 'CreatePermission without an allocation',
    run: withoutAllocation(methods.createPermission),
  },
  { name: 'ChannelBind without an allocation', run: withoutAllocation(methods.channelBind) },
  { name: 'Refresh', run: within((client) => client.refresh()) },
  { name: 'Refresh for an hour', run: within((client) => client.refresh(3600)) },
  { name: 'Refresh 0', run: within((client) => client.refresh(0)) },
  {
    name: 'Refresh after Refresh 0',
    run: within(async (client) => {
      await client.refresh(0)
      return client.refresh()
    }),
  },
  {
    name: 'Refresh of the other family',
    run: within((client) => client.ask(methods.refresh, [addressFamily(2)])),
  },
  {
    name: 'Refresh by another user',
    run: async (client, server) => {
      await client.allocate()
      const other = server.credentialsFor(77)
      const key = longTermKey(other, client.realm)
      return client.ask(methods.refresh, [], { username: other.username, key })
    },
  },
  { name: 'CreatePermission', run: within((client) => client.permit('127.0.0.2')) },
  {
    name: 'CreatePermission of two peers',
    run: within((client) => client.permit('127.0.0.2', '127.0.0.3')),
  },
  { name: 'CreatePermission of nobody', run: within((client) => client.permit()) },
  {
    name: 'CreatePermission of a peer of the other family',
    run: within((client) => client.permit('2a00::1')),
  },
  {
    name: 'CreatePermission of a peer that is denied',
    run: within((client) => client.permit('10.0.0.1')),
  },
  {
    name: 'CreatePermission of a peer that is allowed and one that is denied',
    run: within((client) => client.permit('127.0.0.2', '10.0.0.1')),
  },
  { name: 'ChannelBind', run: within(bindingWith(0x4000, '127.0.0.2')) },
  {
    name: 'ChannelBind, the same again',
    run: within(async (client) => {
      await bindingWith(0x4000, '127.0.0.2')(client)
      return bindingWith(0x4000, '127.0.0.2')(client)
    }),
  },
  {
    name: 'ChannelBind of a number that another peer has',
    run: within(async (client) => {
      await bindingWith(0x4000, '127.0.0.2')(client)
      return bindingWith(0x4000, '127.0.0.3')(client)
    }),
  },
  {
    name: 'ChannelBind of a peer that has another number',
    run: within(async (client) => {
      await bindingWith(0x4000, '127.0.0.2')(client)
      return bindingWith(0x4001, '127.0.0.2')(client)
    }),
  },
  { name: 'ChannelBind without a number', run: within(bindingWith(undefined, '127.0.0.2')) },
  { name: 'ChannelBind without a peer', run: within(bindingWith(0x4000, undefined)) },
  { name: 'ChannelBind of 0x3fff', run: within(bindingWith(0x3fff, '127.0.0.2')) },
  { name: 'ChannelBind of 0x4fff', run: within(bindingWith(0x4fff, '127.0.0.2')) },
  { name: 'ChannelBind of 0x5000', run: within(bindingWith(0x5000, '127.0.0.2')) },
  { name: 'ChannelBind of 0x8000', run: within(bindingWith(0x8000, '127.0.0.2')) },
  {
    name: 'ChannelBind of a peer of the other family',
    run: within(bindingWith(0x4000, '2a00::1')),
  },
  { name: 'ChannelBind of a peer that is denied', run: within(bindingWith(0x4000, '10.0.0.1')) },
  {
    name: 'Connect (RFC 6062)',
    run: within((client) => client.ask(methods.connect, (id) => [peer('127.0.0.2', 9)(id)])),
  },
  {
    name: 'a method that nobody knows',
    run: within((client) => client.ask(0x0ee, [], { timeoutMs: 700 })),
  },
  {
    name: 'a method that nobody knows, unsigned',
    run: (client) => client.ask(0x0ee, [text(0x8022, 'x')], { timeoutMs: 700 }),
  },
]

/** Each conversation with a client of its own. */
export async function converse(server: TurnServer): Promise<Map<string, Comparable>> {
  const answers = new Map<string, Comparable>()
  for (const conversation of conversations) {
    await using client = await openClient(server)
    answers.set(conversation.name, comparable(await conversation.run(client, server)))
    if (client.realm !== '') await client.ask(methods.refresh, [lifetime(0)], { timeoutMs: 500 })
  }
  return answers
}
