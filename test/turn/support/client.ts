/** A TURN client that can be as polite or as rude as a test wants. */
import {
  attributes,
  channelData,
  channelNumber,
  errorCodeOf,
  find,
  isSignedWith,
  lifetime,
  longTermKey,
  methods,
  newTransactionId,
  readMessage,
  readXorAddress,
  requestedTransport,
  text,
  writeMessage,
  xorAddress,
  type Address,
  type Attribute,
  type Credentials,
  type Message,
  type Writing,
} from './stun.ts'
import { openTransport, type Transport, type TransportKind } from './transports.ts'
import type { TurnServer } from './turn-server.ts'

export interface Answer {
  readonly message: Message
  readonly bytes: Buffer
  /** `undefined` of a success. */
  readonly code: number | undefined
  /** Whether it carries MESSAGE-INTEGRITY made with the client's key. */
  readonly isSigned: boolean
}

/** What a peer sent, as the server handed it over. */
export interface Received {
  readonly via: 'channel' | 'indication'
  readonly channel: number | undefined
  readonly peer: Address | undefined
  readonly payload: Buffer
  readonly bytes: Buffer
}

export interface AskOptions {
  readonly transactionId?: Buffer
  /** Which parts of the authentication are left out or replaced. */
  readonly username?: string | undefined
  readonly realm?: string | undefined
  readonly nonce?: string | undefined
  readonly key?: Buffer | undefined
  readonly without?: readonly ('username' | 'realm' | 'nonce' | 'integrity')[]
  readonly writing?: Writing
  readonly timeoutMs?: number
}

export interface TurnClient extends AsyncDisposable {
  readonly transport: Transport
  readonly realm: string
  readonly nonce: string
  readonly key: Buffer
  /** Any request, signed once the server has said its realm; `undefined` without an answer. */
  ask(
    method: number,
    given?: readonly Attribute[] | ((transactionId: Buffer) => readonly Attribute[]),
    options?: AskOptions,
  ): Promise<Answer | undefined>
  /** Any bytes; the answer is the next message with this transaction id. */
  askBytes(bytes: Buffer, timeoutMs?: number): Promise<Answer | undefined>
  send(bytes: Buffer): void
  /** Learns realm and nonce from the refusal of an unsigned Allocate. */
  greet(): Promise<Answer>
  /** Allocates; the relayed address. Rejects with the code of a refusal. */
  allocate(given?: readonly Attribute[]): Promise<Address>
  permit(...peers: readonly string[]): Promise<Answer>
  bind(channel: number, peer: Address): Promise<Answer>
  refresh(seconds?: number): Promise<Answer>
  sendTo(peer: Address, payload: Buffer): void
  sendThrough(channel: number, payload: Buffer): void
  /** What peers sent so far, oldest first. */
  readonly received: Received[]
  /** The next thing a peer sends, or `undefined` after a while. */
  next(timeoutMs?: number): Promise<Received | undefined>
}

export async function openClient(
  server: TurnServer,
  {
    kind = 'udp',
    credentials = server.credentialsFor(0),
    localAddress,
  }: {
    readonly kind?: TransportKind
    readonly credentials?: Credentials
    readonly localAddress?: string
  } = {},
): Promise<TurnClient> {
  const transport = await openTransport(
    kind,
    server,
    localAddress === undefined ? {} : { localAddress },
  )
  const pending = new Map<string, (bytes: Buffer) => void>()
  const received: Received[] = []
  const waiting: ((each: Received) => void)[] = []
  let realm = ''
  let nonce = ''
  let key: Buffer = Buffer.alloc(16)

  transport.onMessage((bytes) => {
    const each = receivedFrom(bytes)
    if (each === undefined) {
      const id = bytes.subarray(8, 20).toString('latin1')
      pending.get(id)?.(bytes)
      return
    }
    const next = waiting.shift()
    if (next === undefined) received.push(each)
    else next(each)
  })

  function askBytes(bytes: Buffer, timeoutMs = 3000): Promise<Answer | undefined> {
    const id = bytes.subarray(8, 20).toString('latin1')
    return new Promise((resolve) => {
      const again = setInterval(
        () => {
          if (transport.kind === 'udp') transport.send(bytes)
        },
        Math.max(500, timeoutMs / 4),
      )
      const end = (answer: Answer | undefined): void => {
        clearTimeout(late)
        clearInterval(again)
        pending.delete(id)
        resolve(answer)
      }
      const late = setTimeout(() => end(undefined), timeoutMs)
      pending.set(id, (reply) => {
        const message = readMessage(reply)
        if (message === undefined) return
        const isSigned = isSignedWith(reply, key)
        end({ message, bytes: reply, code: errorCodeOf(message), isSigned })
      })
      transport.send(bytes)
    })
  }

  async function ask(
    method: number,
    given: readonly Attribute[] | ((transactionId: Buffer) => readonly Attribute[]) = [],
    options: AskOptions = {},
  ): Promise<Answer | undefined> {
    const transactionId = options.transactionId ?? newTransactionId()
    const has = (part: 'username' | 'realm' | 'nonce' | 'integrity'): boolean =>
      options.without?.includes(part) !== true
    const signed: Attribute[] = []
    if (realm !== '' || options.realm !== undefined) {
      if (has('username')) {
        signed.push(text(attributes.username, options.username ?? credentials.username))
      }
      if (has('realm')) signed.push(text(attributes.realm, options.realm ?? realm))
      if (has('nonce')) signed.push(text(attributes.nonce, options.nonce ?? nonce))
    }
    const own = typeof given === 'function' ? given(transactionId) : given
    const bytes = writeMessage(
      { class: 'request', method, transactionId, attributes: [...own, ...signed] },
      {
        ...(signed.length > 0 && has('integrity') ? { key: options.key ?? key } : {}),
        ...options.writing,
      },
    )
    const answer = await askBytes(bytes, options.timeoutMs)
    if (answer?.code === 438 || answer?.code === 401) learn(answer.message)
    return answer
  }

  function learn(message: Message): void {
    realm = find(message, attributes.realm)?.toString() ?? realm
    nonce = find(message, attributes.nonce)?.toString('latin1') ?? nonce
    key = longTermKey(credentials, realm)
  }

  async function must(answer: Promise<Answer | undefined>): Promise<Answer> {
    const given = await answer
    if (given === undefined) throw new Error('no answer')
    return given
  }

  async function greet(): Promise<Answer> {
    return must(ask(methods.allocate, [requestedTransport()], { without: ['integrity'] }))
  }

  return {
    transport,
    get realm() {
      return realm
    },
    get nonce() {
      return nonce
    },
    get key() {
      return key
    },
    ask,
    askBytes,
    send: (bytes) => transport.send(bytes),
    greet,
    async allocate(given = []) {
      if (realm === '') await greet()
      const answer = await must(ask(methods.allocate, [requestedTransport(), ...given]))
      const relayed = readXorAddress(answer.message, attributes.xorRelayedAddress)
      if (relayed === undefined) throw new Error(`Allocate: ${String(answer.code)}`)
      return relayed
    },
    permit: (...peers) =>
      must(
        ask(methods.createPermission, (id) =>
          peers.map((host) => xorAddress(attributes.xorPeerAddress, { host, port: 0 }, id)),
        ),
      ),
    bind: (channel, peer) =>
      must(
        ask(methods.channelBind, (id) => [
          channelNumber(channel),
          xorAddress(attributes.xorPeerAddress, peer, id),
        ]),
      ),
    refresh: (seconds) =>
      must(ask(methods.refresh, seconds === undefined ? [] : [lifetime(seconds)])),
    sendTo(peer, payload) {
      const transactionId = newTransactionId()
      transport.send(
        writeMessage({
          class: 'indication',
          method: methods.send,
          transactionId,
          attributes: [
            xorAddress(attributes.xorPeerAddress, peer, transactionId),
            { type: attributes.data, value: payload },
          ],
        }),
      )
    },
    sendThrough: (channel, payload) =>
      transport.send(channelData(channel, payload, transport.kind !== 'udp')),
    received,
    next(timeoutMs = 2000) {
      const first = received.shift()
      if (first !== undefined) return Promise.resolve(first)
      return new Promise((resolve) => {
        const late = setTimeout(() => {
          waiting.splice(waiting.indexOf(take), 1)
          resolve(undefined)
        }, timeoutMs)
        const take = (each: Received): void => {
          clearTimeout(late)
          resolve(each)
        }
        waiting.push(take)
      })
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}

function receivedFrom(bytes: Buffer): Received | undefined {
  if (bytes.length >= 4 && bytes.readUInt8(0) >= 0x40) {
    const payload = bytes.subarray(4, 4 + bytes.readUInt16BE(2))
    const channel = bytes.readUInt16BE(0)
    return { via: 'channel', channel, peer: undefined, payload, bytes }
  }
  const message = readMessage(bytes)
  if (message?.class !== 'indication') return undefined
  return {
    via: 'indication',
    channel: undefined,
    peer: readXorAddress(message, attributes.xorPeerAddress),
    payload: find(message, attributes.data) ?? Buffer.alloc(0),
    bytes,
  }
}
