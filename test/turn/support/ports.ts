import { createSocket } from 'node:dgram'
import { createServer, type AddressInfo } from 'node:net'

/** A port that is free for UDP and TCP on `host` right now. */
export async function freePort(host: string): Promise<number> {
  for (;;) {
    const server = createServer()
    const port = await new Promise<number>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, host, () => resolve((server.address() as AddressInfo).port))
    })
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    const isFree = await new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(false))
      socket.bind(port, host, () => resolve(true))
    })
    socket.close()
    await new Promise((resolve) => server.close(resolve))
    if (isFree) return port
  }
}
