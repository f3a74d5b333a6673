import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface LossyProxy extends AsyncDisposable {
  /** `host:port` */
  readonly address: string
  /** Ends all connections, and refuses new ones until `mend`. */
  cut(): void
  /** Nothing passes any more, and nobody is told: as with a host that was frozen or cut off. */
  freeze(): void
  mend(): void
}

/** A TCP proxy on loopback that can fail like a network. */
export async function startLossyProxy(target: string): Promise<LossyProxy> {
  const url = new URL(target.includes('://') ? target : `tcp://${target}`)
  const pairs = new Set<readonly [Socket, Socket]>()
  let state: 'well' | 'cut' | 'frozen' = 'well'
  const server = createServer((near) => {
    if (state === 'cut') {
      near.resetAndDestroy()
      return
    }
    const far = connect(Number(url.port), url.hostname)
    const pair = [near, far] as const
    pairs.add(pair)
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on('data', (data) => void to.write(data))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        pairs.delete(pair)
        to.destroy()
      })
      if (state === 'frozen') from.pause()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    address: `127.0.0.1:${String(port)}`,
    cut() {
      state = 'cut'
      for (const [near, far] of pairs) {
        near.resetAndDestroy()
        far.destroy()
      }
    },
    freeze() {
      state = 'frozen'
      for (const pair of pairs) for (const socket of pair) socket.pause()
    },
    mend() {
      state = 'well'
      for (const pair of pairs) for (const socket of pair) socket.resume()
    },
    async [Symbol.asyncDispose]() {
      for (const pair of pairs) for (const socket of pair) socket.destroy()
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}
