import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A port before several others, as a load balancer without an opinion. */
export interface Balancer extends AsyncDisposable {
  readonly url: string
}

/** Each connection goes to the next target that takes it. */
export async function startBalancer(targets: readonly string[]): Promise<Balancer> {
  const ports = targets.map((url) => Number(new URL(url).port))
  const open = new Set<Socket>()
  let turn = 0

  function reach(client: Socket, tries: number): void {
    const port = ports[turn % ports.length] ?? 0
    turn += 1
    const target = connect({ host: '127.0.0.1', port })
    let isReached = false
    target.once('connect', () => {
      isReached = true
      client.pipe(target)
      target.pipe(client)
    })
    target.once('error', () => {
      if (isReached || tries >= ports.length) client.destroy()
      else reach(client, tries + 1)
    })
    client.once('close', () => target.destroy())
    target.once('close', () => {
      if (isReached) client.destroy()
    })
  }

  const server = createServer({ noDelay: true }, (client) => {
    open.add(client)
    client.on('error', () => undefined)
    client.once('close', () => open.delete(client))
    reach(client, 1)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
