/**
 * Load for any TURN server over UDP: opens allocations with a channel each, then sends through them
 * up and down at a rate or as fast as it can, floods, and counts what comes out. Client i is
 * 127.10.x.y, its peer 127.20.x.y, so that no limit per address is met.
 */
import { readFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  attributes,
  channelData,
  channelNumber,
  errorCodeOf,
  find,
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
  type Attribute,
  type Credentials,
  type Message,
} from '../../turn/support/stun.ts'
import { addressNumber, addressText, openPacketSocket, type PacketSocket } from './packet-socket.ts'

export interface LoadSettings {
  readonly server: { readonly host: string; readonly port: number }
  readonly clients: number
  /** Bytes of payload a packet carries; the first 8 are a stamp. */
  readonly payloadBytes: number
  /** One for each client, or one for all. */
  readonly credentials: readonly Credentials[]
  /** How packets go up: ChannelData, or Send indications where a server has no channels up. */
  readonly up?: 'channel' | 'send'
}

/** direct: from the clients' socket to the peers' socket, past the server. */
export type Direction = 'up' | 'down' | 'direct'

export interface RunSettings {
  readonly direction: Direction
  readonly seconds: number
  /** Packets a second, or as many as go. */
  readonly rate: number | 'saturate'
  readonly floodRate?: number
  readonly flood?: FloodKind
}

export interface RunResult {
  readonly seconds: number
  readonly sent: number
  readonly received: number
  /** Thrown away by the kernel because the generator did not read in time. */
  readonly missedByGenerator: number
  /** Thrown away by the kernel because the server did not read its listener in time. */
  readonly missedByServer: number
  readonly flooded: number
  /** Answers that came back to the flood's sockets, as far as they were read. */
  readonly floodAnswers: number
  readonly floodAnswerBytes: number
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number }
}

/**
 * allocate: the first message of a client, no credentials. forged: an Allocate that claims a user
 * and carries a false nonce and integrity; with `-time` a nonce of the relay's form whose time is
 * right, so that its proof has to be looked at. binding: asks for the own address. garbage: random
 * bytes. Each packet from another address of 127.0.0.0/8, or with `-one` all from one.
 */
export type FloodKind =
  | 'allocate'
  | 'allocate-one'
  | 'forged'
  | 'forged-time'
  | 'binding'
  | 'garbage'

interface Client {
  readonly index: number
  readonly credentials: Credentials
  readonly address: number
  readonly peer: number
  realm: string
  nonce: string
  key: Buffer | undefined
  relayed: { readonly address: number; readonly port: number } | undefined
}

interface Pending {
  readonly client: Client
  readonly bytes: Buffer
  readonly resolve: (message: Message) => void
  readonly reject: (error: Error) => void
  sentMs: number
  tries: number
}

export interface Load extends Disposable {
  /** Allocates for every client; how long it took, and how many got none. */
  allocate(): Promise<{ seconds: number; allocated: number; refused: number }>
  /** Binds channel 0x4000 of every client to its peer, or renews that. */
  bind(): Promise<void>
  /** Ends all allocations. */
  release(): Promise<void>
  run(settings: RunSettings): Promise<RunResult>
}

const controlSlots = 64
const floodSlots = 4096

export function openLoad(settings: LoadSettings): Load {
  const { server, payloadBytes } = settings
  const to = { address: addressNumber(server.host), port: server.port }
  // Header, XOR-PEER-ADDRESS and the header of DATA; or the header of ChannelData.
  const headroom = settings.up === 'send' ? 36 : 4
  const clientSocket = openPacketSocket({ slots: settings.clients + controlSlots })
  const peerSocket = openPacketSocket({ slots: settings.clients })
  const directSocket = openPacketSocket({ slots: settings.clients })
  const direct = { address: addressNumber('127.20.0.1'), port: peerSocket.port }
  let floodSocket: { socket: PacketSocket; kind: FloodKind } | undefined
  const clients: Client[] = Array.from({ length: settings.clients }, (_, index) => ({
    index,
    credentials: settings.credentials[index % settings.credentials.length] ?? {
      username: '',
      password: '',
    },
    address: addressNumber('127.10.0.1') + index,
    peer: addressNumber('127.20.0.1') + index,
    realm: '',
    nonce: '',
    key: undefined,
    relayed: undefined,
  }))
  const pending = new Map<string, Pending>()
  let queued = 0
  let pumping: Promise<void> | undefined

  function flush(): void {
    for (let first = 0; first < queued;) {
      const sent = clientSocket.send(settings.clients + first, queued - first)
      if (sent === 0) break
      first += sent
    }
    queued = 0
  }

  function enqueue(client: Client, bytes: Buffer): void {
    if (queued === controlSlots) flush()
    clientSocket.put(settings.clients + queued, bytes, to, client.address)
    queued += 1
  }

  /** Reads answers and repeats requests while any is open. */
  async function pump(): Promise<void> {
    for (let turn = 0; pending.size > 0; turn += 1) {
      flush()
      for (let count = clientSocket.receive(); count > 0; count = clientSocket.receive()) {
        for (let slot = 0; slot < count; slot += 1) {
          const at = clientSocket.incomingAt(slot)
          const bytes = Buffer.from(
            new Uint8Array(clientSocket.incoming.buffer, at, clientSocket.incomingLength(slot)),
          )
          const message = readMessage(bytes)
          if (message === undefined) continue
          const id = message.transactionId.toString('latin1')
          pending.get(id)?.resolve(message)
          pending.delete(id)
        }
      }
      if (turn % 64 === 0) repeatLate()
      await nextTurn()
    }
    pumping = undefined
  }

  function repeatLate(): void {
    const nowMs = performance.now()
    for (const [id, each] of pending) {
      if (nowMs - each.sentMs < 500) continue
      if (each.tries >= 8) {
        pending.delete(id)
        each.reject(new Error(`no answer to client ${String(each.client.index)}`))
        continue
      }
      each.tries += 1
      each.sentMs = nowMs
      enqueue(each.client, each.bytes)
    }
  }

  function ask(client: Client, method: number, given: readonly Attribute[]): Promise<Message> {
    const transactionId = newTransactionId()
    const { key } = client
    const authentication =
      key === undefined
        ? []
        : [
            text(attributes.username, client.credentials.username),
            text(attributes.realm, client.realm),
            text(attributes.nonce, client.nonce),
          ]
    const peers = given.map((each) =>
      each.type === attributes.xorPeerAddress ? peerAddress(client, transactionId) : each,
    )
    const bytes = writeMessage(
      { class: 'request', method, transactionId, attributes: [...peers, ...authentication] },
      key === undefined ? {} : { key },
    )
    return new Promise((resolve, reject) => {
      pending.set(transactionId.toString('latin1'), {
        client,
        bytes,
        resolve,
        reject,
        sentMs: performance.now(),
        tries: 0,
      })
      enqueue(client, bytes)
      pumping ??= pump()
    })
  }

  const peerAddress = (client: Client, transactionId: Buffer): Attribute =>
    xorAddress(
      attributes.xorPeerAddress,
      { host: addressText(client.peer), port: peerSocket.port },
      transactionId,
    )

  /** With the nonce that the server gives, once more if it is stale. */
  async function askSigned(
    client: Client,
    method: number,
    given: readonly Attribute[],
  ): Promise<Message> {
    for (let tries = 0; ; tries += 1) {
      const answer = await ask(client, method, given)
      const code = errorCodeOf(answer)
      if ((code !== 401 && code !== 438) || tries === 2) return answer
      client.nonce = find(answer, attributes.nonce)?.toString('latin1') ?? ''
      const realm = find(answer, attributes.realm)?.toString() ?? client.realm
      if (client.key === undefined || realm !== client.realm) {
        client.realm = realm
        client.key = longTermKey(client.credentials, realm)
      }
    }
  }

  async function forEachClient(act: (client: Client) => Promise<void>, width = 64): Promise<void> {
    let next = 0
    const worker = async (): Promise<void> => {
      for (let client = clients[next++]; client !== undefined; client = clients[next++]) {
        await act(client)
      }
    }
    await Promise.all(Array.from({ length: width }, worker))
  }

  async function allocateFor(client: Client): Promise<Message> {
    const answer = await askSigned(client, methods.allocate, [requestedTransport()])
    const relayed = readXorAddress(answer, attributes.xorRelayedAddress)
    if (relayed !== undefined) {
      client.relayed = { address: addressNumber(relayed.host), port: relayed.port }
    }
    return answer
  }

  async function bindChannel(client: Client): Promise<void> {
    if (client.relayed === undefined) return
    const answer = await askSigned(client, methods.channelBind, [
      channelNumber(0x4000),
      { type: attributes.xorPeerAddress, value: Buffer.alloc(0) },
    ])
    if (answer.class !== 'success') {
      throw new Error(`ChannelBind was answered ${String(errorCodeOf(answer))}`)
    }
  }

  function prepareSlots(): void {
    const payload = Buffer.alloc(payloadBytes, 0xa5)
    for (const client of clients) {
      if (client.relayed === undefined) continue
      const transactionId = newTransactionId()
      const up =
        settings.up === 'send'
          ? writeMessage({
              class: 'indication',
              method: methods.send,
              transactionId,
              attributes: [
                peerAddress(client, transactionId),
                { type: attributes.data, value: payload },
              ],
            })
          : channelData(0x4000, payload)
      clientSocket.put(client.index, up, to, client.address)
      peerSocket.put(client.index, payload, client.relayed, client.peer)
      directSocket.put(client.index, payload, direct, client.address)
    }
  }

  /** Sends `count` packets, round robin over the clients, stamped with the time. */
  function sender(direction: Direction): (count: number) => number {
    const socket = { up: clientSocket, down: peerSocket, direct: directSocket }[direction]
    const stampAt = direction === 'up' ? headroom : 0
    let next = 0
    return (count) => {
      const wanted = Math.min(count, 64, clients.length - next)
      const nowMs = performance.now()
      for (let slot = next; slot < next + wanted; slot += 1) {
        socket.outgoing.setFloat64(socket.outgoingAt(slot) + stampAt, nowMs)
      }
      const sent = socket.send(next, wanted)
      next = (next + sent) % clients.length
      return sent
    }
  }

  async function run(wanted: RunSettings): Promise<RunResult> {
    const { direction, rate } = wanted
    const from = direction === 'down' ? clientSocket : peerSocket
    const stampAt = direction === 'down' ? 4 : 0
    const wholeBytes = payloadBytes + stampAt
    while (from.receive() > 0);
    const missedBefore = missedBy(from.port)
    const missedByServerBefore = missedBy(server.port)
    const send = sender(direction)
    const flood = floodSender(wanted)
    const latencies = new Float64Array(2 ** 20)
    let received = 0
    const receive = (): void => {
      for (let count = from.receive(); count > 0; count = from.receive()) {
        const nowMs = performance.now()
        for (let slot = 0; slot < count; slot += 1) {
          if (from.incomingLength(slot) !== wholeBytes) continue
          const stampMs = from.incoming.getFloat64(from.incomingAt(slot) + stampAt)
          latencies[received % latencies.length] = nowMs - stampMs
          received += 1
        }
        if (count < 64) break
      }
    }
    const startMs = performance.now()
    const endMs = startMs + wanted.seconds * 1000
    let sent = 0
    let flooded = 0
    for (let nowMs = startMs; nowMs < endMs; nowMs = performance.now()) {
      if (rate === 'saturate') sent += send(64)
      else {
        const due = Math.floor(((nowMs - startMs) * rate) / 1000) - sent
        if (due > 0) sent += send(due)
      }
      if (wanted.floodRate !== undefined) {
        const due = Math.floor(((nowMs - startMs) * wanted.floodRate) / 1000) - flooded
        if (due > 0) flooded += flood.send(due)
      }
      receive()
    }
    const seconds = (performance.now() - startMs) / 1000
    // What is still under way counts: half a second of silence ends the run.
    for (let quietMs = performance.now() + 500; performance.now() < quietMs;) {
      const before = received
      receive()
      if (received > before) quietMs = performance.now() + 200
    }
    const answers = flood.answers()
    const sorted = latencies.subarray(0, Math.min(received, latencies.length)).sort()
    const percentile = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
    return {
      seconds,
      sent,
      received,
      missedByGenerator: missedBy(from.port) - missedBefore,
      missedByServer: missedBy(server.port) - missedByServerBefore,
      flooded,
      floodAnswers: answers.count,
      floodAnswerBytes: answers.bytes,
      latencyMs: { p50: percentile(0.5), p99: percentile(0.99), p999: percentile(0.999) },
    }
  }

  function floodSender({ flood, floodRate }: RunSettings) {
    if (flood === undefined || floodRate === undefined) {
      return { send: () => 0, answers: () => ({ count: 0, bytes: 0 }) }
    }
    if (floodSocket?.kind !== flood) {
      floodSocket?.socket[Symbol.dispose]()
      floodSocket = { socket: prepareFlood(flood, to), kind: flood }
    }
    const { socket } = floodSocket
    let next = 0
    let answers = 0
    let bytes = 0
    const drain = (): void => {
      for (let count = socket.receive(); count > 0; count = socket.receive()) {
        answers += count
        for (let slot = 0; slot < count; slot += 1) bytes += socket.incomingLength(slot)
      }
    }
    return {
      send: (due: number): number => {
        const sent = socket.send(next, Math.min(due, 64, floodSlots - next))
        next = (next + sent) % floodSlots
        if (next % 256 === 0) drain()
        return sent
      },
      answers: () => {
        drain()
        return { count: answers, bytes }
      },
    }
  }

  return {
    async allocate() {
      const startMs = performance.now()
      let allocated = 0
      await forEachClient(async (client) => {
        if ((await allocateFor(client)).class === 'success') allocated += 1
      })
      const seconds = (performance.now() - startMs) / 1000
      prepareSlots()
      return { seconds, allocated, refused: clients.length - allocated }
    },
    bind: () => forEachClient(bindChannel),
    async release() {
      await forEachClient(async (client) => {
        if (client.relayed === undefined) return
        await askSigned(client, methods.refresh, [lifetime(0)])
        client.relayed = undefined
      })
    },
    run,
    [Symbol.dispose]() {
      clientSocket[Symbol.dispose]()
      peerSocket[Symbol.dispose]()
      directSocket[Symbol.dispose]()
      floodSocket?.socket[Symbol.dispose]()
    },
  }
}

function prepareFlood(kind: FloodKind, to: { address: number; port: number }): PacketSocket {
  const socket = openPacketSocket({ slots: floodSlots })
  for (let slot = 0; slot < floodSlots; slot += 1) {
    const random = Math.floor(Math.random() * 2 ** 22)
    const from = addressNumber('127.64.0.0') + (kind === 'allocate-one' ? 1 : random)
    socket.put(slot, floodPacket(kind), to, from)
  }
  return socket
}

function floodPacket(kind: FloodKind): Buffer {
  const transactionId = newTransactionId()
  if (kind === 'garbage') {
    const length = Math.floor(Math.random() * 200)
    return Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 256)))
  }
  if (kind === 'binding') {
    return writeMessage({
      class: 'request',
      method: methods.binding,
      transactionId,
      attributes: [],
    })
  }
  const isForged = kind === 'forged' || kind === 'forged-time'
  const time = Buffer.alloc(4)
  time.writeUInt32BE(Math.floor(Date.now() / 1000))
  const nonce =
    kind === 'forged-time'
      ? Buffer.concat([time, transactionId]).toString('base64url')
      : transactionId.toString('hex')
  const claimed = isForged
    ? [
        text(attributes.username, '4102444800:somebody'),
        text(attributes.realm, 'dummy.io'),
        text(attributes.nonce, nonce),
      ]
    : []
  return writeMessage(
    {
      class: 'request',
      method: methods.allocate,
      transactionId,
      attributes: [requestedTransport(), ...claimed],
    },
    isForged ? { key: transactionId } : {},
  )
}

/** Packets that the kernel dropped at the socket of this port so far. */
function missedBy(port: number): number {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const line = readFileSync('/proc/net/udp', 'latin1')
    .split('\n')
    .find((line) => line.trim().split(/\s+/)[1]?.endsWith(wanted) === true)
  return Number(line?.trim().split(/\s+/).at(-1) ?? 0)
}
