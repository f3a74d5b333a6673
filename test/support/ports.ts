import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

// Above the ports that Linux hands out by itself (`ip_local_port_range`, 32 768 to 60 999), so
// that no outgoing connection takes one between two starts of a server that a test restarts.
const firstPort = 61_000
const lastPort = 65_535
const claimHost = '127.255.255.254'
let next = firstPort + (process.pid % (lastPort - firstPort))

/**
 * Ports that are free for UDP and TCP on `host` and stay this process's own until it ends: each
 * is claimed with a UDP socket on an address that no server of a test uses.
 */
export async function claimPorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) ports.push(await claimPort(host))
  return ports
}

export async function claimPort(host = '127.0.0.1'): Promise<number> {
  for (let tries = firstPort; tries <= lastPort; tries += 1) {
    next = next === lastPort ? firstPort : next + 1
    const port = next
    const claim = await bindUdp(port, claimHost)
    if (claim === undefined) continue
    if (await isFree(port, host)) {
      claim.unref()
      return port
    }
    claim.close()
  }
  throw new Error(`No port from ${String(firstPort)} to ${String(lastPort)} is free on ${host}.`)
}

async function isFree(port: number, host: string): Promise<boolean> {
  const socket = await bindUdp(port, host)
  if (socket === undefined) return false
  socket.close()
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, host, () => server.close(() => resolve(true)))
  })
}

function bindUdp(port: number, host: string): Promise<ReturnType<typeof createSocket> | undefined> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  return new Promise((resolve) => {
    socket.once('error', () => {
      socket.close()
      resolve(undefined)
    })
    socket.bind({ port, address: host, exclusive: true }, () => resolve(socket))
  })
}
