import { createSocket, type Socket } from 'node:dgram'
import type { Allocation, ClientPath, RelaySocket } from '../allocation/allocation.ts'
import type { RelaySockets } from '../handlers/request.ts'
import type { RelayServer } from '../server.ts'
import { formatIp, parseIp, type Endpoint, type Ip } from '../wire/ip.ts'

/** Datagrams with Node's own sockets: runs anywhere, with a system call for each packet. */

const listenerBufferBytes = 4 * 1024 * 1024
const relayBufferBytes = 256 * 1024
const zeros = [0, 1, 2, 3].map((length) => new Uint8Array(length))

/** Addresses come as text; each is read once. Bounded, for anybody can send from anywhere. */
function addressReader(): (text: string) => Ip | undefined {
  const known = new Map<string, Ip>()
  return (text) => {
    const found = known.get(text)
    if (found !== undefined) return found
    const ip = parseIp(text)
    if (ip === undefined) return undefined
    if (known.size >= 8192) known.clear()
    known.set(text, ip)
    return ip
  }
}

/** Binds at once, for handlers do not wait: the address needs no look-up. Undefined if it fails. */
function bindNow(local: Endpoint, bufferBytes: number): Socket | undefined {
  const { family } = local.ip
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    ipv6Only: family === 6,
    recvBufferSize: bufferBytes,
    lookup: (address, _options, callback) => callback(null, address, family),
  })
  let isBound = false
  socket.on('listening', () => {
    isBound = true
  })
  // What a peer's host reports about a packet is no reason to end.
  socket.on('error', () => undefined)
  socket.bind({ address: formatIp(local.ip), port: local.port, exclusive: true })
  if (isBound) return socket
  socket.close()
  return undefined
}

/** Relay sockets. `server` is asked for late, because it needs these first. */
export function dgramRelays(server: () => RelayServer): RelaySockets {
  const readAddress = addressReader()
  const owners = new Map<RelaySocket, Allocation>()

  return {
    canForbidFragments: false,
    open(local) {
      const socket = bindNow(local, relayBufferBytes)
      if (socket === undefined) return undefined
      const own: RelaySocket = {
        send(payload, peer) {
          socket.send(payload, peer.port, formatIp(peer.ip), (error) => {
            if (error !== null) server().drop('send-failed')
          })
        },
        close() {
          owners.delete(own)
          socket.close()
        },
      }
      socket.on('message', (payload, { address, port }) => {
        const owner = owners.get(own)
        const from = readAddress(address)
        if (owner === undefined || from === undefined) return
        server().receiveFromPeer(owner, payload, from, port)
      })
      return own
    },
    attach(allocation) {
      for (const relay of allocation.relays) owners.set(relay.socket, allocation)
    },
  }
}

export interface DgramListener extends AsyncDisposable {
  readonly endpoint: Endpoint
}

/** Listens for clients. Throws when the address cannot be bound. */
export function listenDgram(local: Endpoint, listener: number, server: RelayServer): DgramListener {
  const bound = bindNow(local, listenerBufferBytes)
  if (bound === undefined) {
    throw new Error(`UDP ${formatIp(local.ip)} port ${String(local.port)} cannot be bound`)
  }
  const socket: Socket = bound
  const endpoint = { ip: local.ip, port: socket.address().port }
  const readAddress = addressReader()

  function sent(error: Error | null): void {
    if (error !== null) server.drop('send-failed')
  }
  function pathTo(ip: Ip, port: number, address: string): ClientPath {
    return {
      transport: 'UDP',
      client: { ip, port },
      server: endpoint,
      listener,
      send: (bytes) => socket.send(bytes, port, address, sent),
      relay(header, payload, paddingBytes) {
        const parts = [header.slice(), payload]
        if (paddingBytes > 0) parts.push(zeros[paddingBytes] ?? new Uint8Array(0))
        socket.send(parts, port, address, sent)
      },
    }
  }
  socket.on('message', (bytes, { address, port }) => {
    const ip = readAddress(address)
    if (ip === undefined) return
    const known = server.state.allocations.find(listener, ip.a, ip.b, ip.c, ip.d, port)
    server.receive(bytes, known?.path ?? pathTo(ip, port, address))
  })
  return {
    endpoint,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}
