import { randomBytes } from 'node:crypto'
import type { Allocation, ClientPath, Relay, Transport } from '../allocation/allocation.ts'
import { testClock } from '../clock.ts'
import { parseConfig } from '../config.ts'
import { longTermKey, wirePassword } from '../credentials.ts'
import type { RelaySockets } from '../handlers/request.ts'
import { assembleServer, type Settings } from '../process/assemble.ts'
import type { RelayServer } from '../server.ts'
import * as attributes from '../wire/attributes.ts'
import { find, written, type Written } from '../wire/attributes.ts'
import { formatEndpoint, parseIp, type Endpoint, type Ip } from '../wire/ip.ts'
import { decodeMessage, methods, type ReceivedMessage } from '../wire/message.ts'
import { sealMessage } from '../wire/protection.ts'

/** A relay without sockets or time of its own: tests hand it packets and see what it sends. */
export interface TestRelay {
  readonly server: RelayServer
  readonly clock: ReturnType<typeof testClock>
  /** Lines of the log, as sentence and fields. */
  readonly lines: { readonly sentence: string; readonly fields: Record<string, unknown> }[]
  /** Sockets that are open, by `address:port`. */
  readonly open: Set<string>
  /** Ports that another program holds. */
  readonly foreign: Set<string>
  /** Ports that are kept for who brings a token. */
  readonly kept: Set<string>
  /** What left the relays, as `from > to`, with the payload. */
  readonly sent: {
    readonly way: string
    readonly payload: string
    readonly isUnfragmented: boolean
  }[]
  client(options?: ClientOptions): TestClient
  reload(config: Record<string, unknown>, secrets?: Partial<Settings['secrets']>): void
  /** A datagram from a peer to the relay of an allocation. */
  fromPeer(allocation: Allocation, from: string, payload: string | Uint8Array): void
}

export interface ClientOptions {
  readonly address?: string
  readonly port?: number
  readonly transport?: Transport
  readonly user?: string
  readonly password?: string
  /** The address of the relay it talks to. */
  readonly server?: string
}

export interface TestClient {
  readonly path: ClientPath
  readonly username: string
  /** Everything the client received, oldest first. */
  readonly received: Uint8Array[]
  /** Hands bytes to the relay; the reply, if there was one. */
  send(bytes: Uint8Array): ReceivedMessage | undefined
  /** The same, without looking for a reply. */
  receive(bytes: Uint8Array): void
  /** The same without the glance at strangers. */
  receiveUnseen(bytes: Uint8Array): void
  /** A request with credentials; fetches a nonce first. */
  ask(method: number, ...attributes: readonly Written[]): ReceivedMessage
  /** The bytes of such a request. */
  signed(method: number, attributes: readonly Written[], options?: SignOptions): Uint8Array
  allocation(): Allocation | undefined
  nonce: string
}

export interface SignOptions {
  readonly transactionId?: Uint8Array
  readonly nonce?: string
  readonly key?: Uint8Array
  readonly username?: string
  readonly realm?: string
}

export const testSecret = Buffer.from('test-secret-do-not-use')
export const relayAddress = '198.51.100.1'
export const relayAddress6 = '2001:db8::1'
const startUnixSeconds = 1_767_000_000

export function ipOf(text: string): Ip {
  const ip = parseIp(text)
  if (ip === undefined) throw new RangeError(`${text} is not an address`)
  return ip
}

export function endpointOf(text: string): Endpoint {
  const at = text.lastIndexOf(':')
  return { ip: ipOf(text.slice(0, at).replaceAll(/[[\]]/g, '')), port: Number(text.slice(at + 1)) }
}

export const udp = written(attributes.requestedTransport, 17)
export const peer = (text: string): Written => written(attributes.xorPeerAddress, endpointOf(text))

/** 0 for a success, else the code of the error. */
export function codeOf(message: ReceivedMessage | undefined): number | undefined {
  if (message === undefined) return undefined
  return message.class === 'success' ? 0 : find(message, attributes.errorCode)?.code
}

export function testRelay(
  config: Record<string, unknown> = {},
  more: {
    readonly relays?: readonly string[]
    readonly secrets?: Partial<Settings['secrets']>
    readonly canForbidFragments?: boolean
    readonly share?: { readonly index: number; readonly count: number }
    readonly key?: Uint8Array
  } = {},
): TestRelay {
  const clock = testClock(startUnixSeconds)
  const lines: TestRelay['lines'] = []
  const open = new Set<string>()
  const foreign = new Set<string>()
  const kept = new Set<string>()
  const sent: TestRelay['sent'] = []
  const log = (fields: Record<string, unknown>, sentence: string): void => {
    lines.push({ fields, sentence })
  }
  const sockets: RelaySockets = {
    canForbidFragments: more.canForbidFragments ?? true,
    keep(local) {
      const name = formatEndpoint(local)
      if (open.has(name) || foreign.has(name) || kept.has(name)) return undefined
      kept.add(name)
      return { close: () => void kept.delete(name) }
    },
    open(local, isKept = false) {
      const name = formatEndpoint(local)
      if (open.has(name) || foreign.has(name) || (kept.has(name) && !isKept)) return undefined
      open.add(name)
      return {
        send(payload, to, isUnfragmented) {
          const way = `${name} > ${formatEndpoint(to)}`
          sent.push({ way, payload: Buffer.from(payload).toString('latin1'), isUnfragmented })
        },
        close: () => open.delete(name),
      }
    },
    attach: () => undefined,
  }
  const settingsOf = (
    config: Record<string, unknown>,
    secrets: Partial<Settings['secrets']> | undefined,
  ): Settings => ({
    config: parseConfig({ credentials: { wire: { secretFiles: ['-'] } }, ...config }, 'the test'),
    addresses: {
      listen: more.relays ?? [relayAddress],
      relay: more.relays ?? [relayAddress],
    },
    secrets: { wire: [testSecret], rest: [], static: [], ...secrets },
    key,
  })
  const key = more.key ?? randomBytes(32)
  const assembled = assembleServer(settingsOf(config, more.secrets), {
    share: more.share ?? { index: 0, count: 1 },
    sockets,
    clock,
    log: { info: log, warn: log, error: log },
  })
  const { server } = assembled
  let nextPort = 20_000

  function client(options: ClientOptions = {}): TestClient {
    const received: Uint8Array[] = []
    const tuple = {
      transport: options.transport ?? ('UDP' as const),
      client: { ip: ipOf(options.address ?? '192.0.2.10'), port: options.port ?? nextPort++ },
      server: { ip: ipOf(options.server ?? relayAddress), port: 3478 },
      listener: 0,
    }
    const path: ClientPath = {
      ...tuple,
      send: (bytes) => received.push(Uint8Array.from(bytes)),
      relay: (header, payload, paddingBytes) =>
        received.push(Buffer.concat([header, payload, Buffer.alloc(paddingBytes)])),
    }
    const expires = startUnixSeconds + 86_400
    const username = options.user ?? `d=${String(expires)}.v=1.k=0.t=s.r=alice`
    const password = options.password ?? wirePassword(testSecret, username)
    const realm = 'dummy.io'

    function send(bytes: Uint8Array): ReceivedMessage | undefined {
      const before = received.length
      server.receive(bytes, path)
      const reply = received[before]
      return reply === undefined ? undefined : decodeMessage(reply)
    }
    const self: TestClient = {
      path,
      username,
      received,
      nonce: '',
      send,
      receive: (bytes) => server.receive(bytes, path),
      receiveUnseen(bytes) {
        if ((bytes[0] ?? 0xff) < 0x40) server.receiveMessage(bytes, path)
      },
      signed(method, given, options = {}) {
        const transactionId = options.transactionId ?? randomBytes(12)
        const name = options.username ?? username
        const inRealm = options.realm ?? realm
        const all = [
          ...given,
          written(attributes.username, name),
          written(attributes.realm, inRealm),
          written(attributes.nonce, options.nonce ?? self.nonce),
        ]
        return sealMessage(
          {
            class: 'request',
            method,
            transactionId,
            attributes: all.map((write) => write(transactionId)),
          },
          { key: options.key ?? longTermKey(name, inRealm, password) },
        )
      },
      ask(method, ...given) {
        if (self.nonce === '') {
          const challenge = send(unsigned(methods.allocate))
          self.nonce = (challenge && find(challenge, attributes.nonce)) ?? ''
        }
        const reply = send(self.signed(method, given))
        if (reply === undefined) throw new Error('no reply')
        return reply
      },
      allocation: () => server.state.allocations.findBy(path.listener, path.client),
    }
    return self
  }

  return {
    server,
    clock,
    lines,
    open,
    foreign,
    kept,
    sent,
    client,
    reload: (config, secrets) => assembled.reload(settingsOf(config, secrets)),
    fromPeer(allocation, from, payload) {
      const { ip, port } = endpointOf(from)
      const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload
      server.receiveFromPeer(allocation, bytes, ip, port)
    },
  }
}

/** A request without credentials. */
export function unsigned(method: number, ...given: readonly Written[]): Uint8Array {
  const transactionId = randomBytes(12)
  return sealMessage(
    {
      class: 'request',
      method,
      transactionId,
      attributes: given.map((write) => write(transactionId)),
    },
    {},
  )
}

/** An indication. */
export function indication(method: number, ...given: readonly Written[]): Uint8Array {
  const transactionId = randomBytes(12)
  return sealMessage(
    {
      class: 'indication',
      method,
      transactionId,
      attributes: given.map((write) => write(transactionId)),
    },
    {},
  )
}

/** The only relay of a client's allocation. */
export function relayOfClient(client: TestClient): Relay {
  const relay = client.allocation()?.relays[0]
  if (relay === undefined) throw new Error('the client has no relay')
  return relay
}
