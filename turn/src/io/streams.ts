import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import type { ClientPath, Transport } from '../allocation/allocation.ts'
import { sourceKey } from '../allocation/quotas.ts'
import type { RelayServer } from '../server.ts'
import { formatIp, parseIp, type Endpoint, type Ip } from '../wire/ip.ts'
import { frameReader } from '../wire/frames.ts'
import { hasStunHeader } from '../wire/message.ts'

/** Clients that come over TCP or TLS. */

/** A stream that says nothing of use for so long is closed; also a handshake that does not end. */
const firstMessageMs = 10_000
/** A stream that holds no allocation may be silent for so long. */
const idleMs = 60_000
/** More than that is not queued for a client that does not read. */
const maxQueuedBytes = 256 * 1024
/** Replies are queued a little further: who never reads them is no client. */
const maxQueuedReplyBytes = 1024 * 1024

export interface Certificate {
  readonly cert: string
  readonly key: string
}

export type StreamListenerAt =
  | { readonly kind: 'address'; readonly local: Endpoint }
  /** A socket that listens already and was handed down. */
  | { readonly kind: 'fd'; readonly fd: number; readonly local: Endpoint }

export interface StreamListener extends AsyncDisposable {
  readonly endpoint: Endpoint
  /** For connections from now on; those that are open stay. */
  setCertificate(certificate: Certificate): void
}

/** How many streams each source has. */
export type StreamCounts = Map<string, number>

/** Rejects when the address cannot be bound. */
export async function listenStreams(options: {
  readonly at: StreamListenerAt
  readonly listener: number
  readonly server: RelayServer
  readonly certificate: Certificate | undefined
  readonly counts: StreamCounts
  readonly maxPerSource: () => number
}): Promise<StreamListener> {
  const { at, listener, server, certificate, counts } = options
  const transport: Transport = certificate === undefined ? 'TCP' : 'TLS'
  const open = new Set<Socket>()
  let endpoint = at.local

  /** False: the source has enough of them. */
  function admit(raw: Socket): boolean {
    const ip = addressOf(raw)
    if (ip === undefined) return false
    const source = sourceKey(ip)
    const count = counts.get(source) ?? 0
    if (count >= options.maxPerSource()) {
      server.drop('stream-limit')
      return false
    }
    counts.set(source, count + 1)
    raw.once('close', () => {
      const left = (counts.get(source) ?? 1) - 1
      if (left > 0) counts.set(source, left)
      else counts.delete(source)
    })
    return true
  }

  function serve(socket: Socket): void {
    const ip = addressOf(socket)
    const port = socket.remotePort
    if (ip === undefined || port === undefined) {
      socket.destroy()
      return
    }
    open.add(socket)
    const path = streamPath(
      socket,
      { transport, client: { ip, port }, server: endpoint, listener },
      server,
    )
    const reader = frameReader()
    let isKnown = false
    const first = setTimeout(() => socket.destroy(), firstMessageMs)
    socket.setNoDelay(true)
    socket.setTimeout(idleMs, () => {
      if (server.state.allocations.findBy(listener, path.client) === undefined) socket.destroy()
    })
    socket.on('data', (chunk) => {
      const isFramed = reader.read(chunk, (frame) => {
        if (!isKnown && hasStunHeader(frame)) {
          isKnown = true
          clearTimeout(first)
        }
        server.receive(frame, path)
      })
      if (isFramed) return
      server.drop('not-turn')
      socket.destroy()
    })
    socket.on('error', () => socket.destroy())
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      clearTimeout(first)
      open.delete(socket)
      server.lose(path)
    })
  }

  const net: Server | TlsServer =
    certificate === undefined
      ? createServer({ noDelay: true }, (socket) => {
          if (admit(socket)) serve(socket)
          else socket.destroy()
        })
      : createTlsServer(
          {
            ...certificate,
            minVersion: 'TLSv1.2',
            // RFC 7443; clients that name no protocol are as welcome.
            ALPNProtocols: ['stun.turn'],
            handshakeTimeout: firstMessageMs,
          },
          serve,
        )
  if (certificate !== undefined) {
    net.on('connection', (raw: Socket) => {
      if (!admit(raw)) raw.destroy()
    })
    // A handshake that fails is the client's affair.
    net.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())
  }
  await new Promise<void>((resolve, reject) => {
    net.once('error', reject)
    net.once('listening', () => {
      net.off('error', reject)
      // Running out of descriptors, say: those that are served stay served.
      net.on('error', () => server.drop('accept-failed'))
      resolve()
    })
    if (at.kind === 'fd') net.listen({ fd: at.fd })
    else {
      net.listen({
        host: formatIp(at.local.ip),
        port: at.local.port,
        ipv6Only: at.local.ip.family === 6,
        exclusive: true,
        backlog: 1024,
      })
    }
  })
  const bound = net.address()
  if (typeof bound === 'object' && bound !== null) endpoint = { ip: at.local.ip, port: bound.port }

  return {
    endpoint,
    setCertificate(certificate) {
      if ('setSecureContext' in net) {
        net.setSecureContext({ ...certificate, minVersion: 'TLSv1.2' })
      }
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => net.close(() => resolve()))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

function addressOf(socket: Socket): Ip | undefined {
  return socket.remoteAddress === undefined ? undefined : parseIp(socket.remoteAddress)
}

function streamPath(
  socket: Socket,
  tuple: Omit<ClientPath, 'send' | 'relay'>,
  server: RelayServer,
): ClientPath {
  return {
    ...tuple,
    send(bytes) {
      if (socket.writableLength > maxQueuedReplyBytes) socket.destroy()
      else if (socket.writable) socket.write(bytes)
    },
    relay(header, payload, paddingBytes) {
      if (!socket.writable) return
      if (socket.writableLength > maxQueuedBytes) {
        server.drop('slow-client')
        return
      }
      const frame = Buffer.allocUnsafe(header.length + payload.length + paddingBytes)
      frame.set(header)
      frame.set(payload, header.length)
      frame.fill(0, header.length + payload.length)
      socket.write(frame)
    },
  }
}
