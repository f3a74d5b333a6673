/** How bytes reach a TURN server: UDP, TCP or TLS, whole messages in and out. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export type TransportKind = 'udp' | 'tcp' | 'tls'

export interface Transport extends AsyncDisposable {
  readonly kind: TransportKind
  /** Port on this side. */
  readonly localPort: number
  send(bytes: Buffer): void
  /** Called with each STUN message and each ChannelData message. */
  onMessage(handle: (bytes: Buffer) => void): void
  readonly isClosed: () => boolean
  /** Leaves what the server sends unread, where this is a stream, until `resume`. */
  pause(): void
  resume(): void
  /** Resolves when the other side has closed a stream. */
  readonly closed: Promise<void>
}

interface Target {
  readonly host: string
  readonly port: number
  readonly tlsPort: number
}

export function openTransport(
  kind: TransportKind,
  server: Target,
  { localAddress }: { readonly localAddress?: string } = {},
): Promise<Transport> {
  return kind === 'udp' ? openUdp(server, localAddress) : openStream(kind, server, localAddress)
}

async function openUdp({ host, port }: Target, localAddress?: string): Promise<Transport> {
  const socket = createSocket({
    type: host.includes(':') ? 'udp6' : 'udp4',
    recvBufferSize: 2 ** 20,
  })
  let isOpen = true
  socket.bind(0, localAddress ?? host)
  await once(socket, 'listening')
  // An ICMP error about an earlier packet is no fault of a test.
  socket.on('error', () => undefined)
  return {
    kind: 'udp',
    localPort: socket.address().port,
    send: (bytes) => socket.send(bytes, port, host),
    onMessage: (handle) => void socket.on('message', handle),
    isClosed: () => false,
    pause: () => undefined,
    resume: () => undefined,
    closed: new Promise(() => undefined),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        if (isOpen) socket.close(() => resolve())
        else resolve()
        isOpen = false
      }),
  }
}

async function openStream(
  kind: 'tcp' | 'tls',
  { host, port, tlsPort }: Target,
  localAddress?: string,
): Promise<Transport> {
  const local = localAddress === undefined ? {} : { localAddress }
  const socket: Socket =
    kind === 'tcp'
      ? connectTcp({ host, port, noDelay: true, ...local })
      : connectTls({ host, port: tlsPort, rejectUnauthorized: false, ...local })
  await once(socket, kind === 'tcp' ? 'connect' : 'secureConnect')
  let isClosed = false
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      isClosed = true
      resolve()
    })
  })
  socket.on('error', () => undefined)
  const handlers: ((bytes: Buffer) => void)[] = []
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    rest = Buffer.concat([rest, bytes])
    for (let length = frameLength(rest); length <= rest.length; length = frameLength(rest)) {
      const message = rest.subarray(0, length)
      rest = rest.subarray(length)
      for (const handle of handlers) handle(message)
    }
  })
  return {
    kind,
    localPort: socket.localPort ?? 0,
    send: (bytes) => void socket.write(bytes),
    onMessage: (handle) => void handlers.push(handle),
    isClosed: () => isClosed,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    closed,
    async [Symbol.asyncDispose]() {
      socket.destroy()
      await closed
    },
  }
}

/** Bytes of the first message on a stream; Infinity while its header is not there. */
function frameLength(bytes: Buffer): number {
  if (bytes.length < 4) return Infinity
  const length = bytes.readUInt16BE(2)
  return bytes.readUInt8(0) < 0x40 ? 20 + length : 4 + Math.ceil(length / 4) * 4
}
