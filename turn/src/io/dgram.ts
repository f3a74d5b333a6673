import { createSocket, type Socket } from 'node:dgram'
import type { Allocation, ClientPath, RelaySocket } from '../allocation/allocation.ts'
import type { RelaySockets } from '../handlers/request.ts'
import type { RelayServer } from '../server.ts'
import { formatEndpoint, formatIp, parseIp, type Endpoint, type Ip } from '../wire/ip.ts'

/** Datagrams with Node's own sockets: runs anywhere, with a system call for each packet. */

const listenerBufferBytes = 4 * 1024 * 1024
const relayBufferBytes = 256 * 1024
/** Of a port that nothing is read from. */
const keptBufferBytes = 4096
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

/** Addresses go back as text too. An address of a channel or a permission stays one object. */
function addressWriter(): (ip: Ip) => string {
  const known = new WeakMap<Ip, string>()
  return (ip) => {
    const found = known.get(ip)
    if (found !== undefined) return found
    const text = formatIp(ip)
    known.set(ip, text)
    return text
  }
}

/** Binds at once, for handlers do not wait: the address needs no look-up. Undefined if it fails. */
function bindNow(local: Endpoint, bufferBytes: number, onError: () => void): Socket | undefined {
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
  // A packet that cannot be sent, or was refused at its end, is lost as on any network. Without a
  // callback for each packet it is told here.
  socket.on('error', () => {
    if (isBound) onError()
  })
  socket.bind({ address: formatIp(local.ip), port: local.port, exclusive: true })
  if (isBound) return socket
  socket.close()
  return undefined
}

/** Relay sockets. `server` is asked for late, because it needs these first. */
export function dgramRelays(server: () => RelayServer): RelaySockets {
  const readAddress = addressReader()
  const writeAddress = addressWriter()
  const onError = (): void => server().drop('send-failed')
  const owners = new Map<RelaySocket, Allocation>()
  /** By address and port. */
  const kept = new Map<string, Socket>()

  function release(name: string): void {
    kept.get(name)?.close()
    kept.delete(name)
  }

  return {
    canForbidFragments: false,
    keep(local) {
      const socket = bindNow(local, keptBufferBytes, onError)
      if (socket === undefined) return undefined
      const name = formatEndpoint(local)
      kept.set(name, socket)
      return { close: () => kept.get(name) === socket && release(name) }
    },
    open(local, isKept = false) {
      if (isKept) release(formatEndpoint(local))
      const socket = bindNow(local, relayBufferBytes, onError)
      if (socket === undefined) return undefined
      const own: RelaySocket = {
        send(payload, peer) {
          socket.send(payload, peer.port, writeAddress(peer.ip))
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
  const bound = bindNow(local, listenerBufferBytes, () => server.drop('send-failed'))
  if (bound === undefined) {
    throw new Error(`UDP ${formatIp(local.ip)} port ${String(local.port)} cannot be bound`)
  }
  const socket: Socket = bound
  const endpoint = { ip: local.ip, port: socket.address().port }
  const readAddress = addressReader()

  function pathTo(ip: Ip, port: number, address: string): ClientPath {
    return {
      transport: 'UDP',
      client: { ip, port },
      server: endpoint,
      listener,
      send: (bytes) => socket.send(bytes, port, address),
      relay(header, payload, paddingBytes) {
        // One piece: Node copies the list of parts otherwise.
        const whole = Buffer.allocUnsafe(header.length + payload.length + paddingBytes)
        whole.set(header)
        whole.set(payload, header.length)
        whole.fill(0, header.length + payload.length)
        socket.send(whole, port, address)
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
