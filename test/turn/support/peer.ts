import { createSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import type { Address } from './stun.ts'

/** Somebody on the other side of the relay. */
export interface Peer extends AsyncDisposable {
  readonly address: Address
  send(payload: Buffer, to: Address): void
  /** The next packet, or `undefined` after a while. */
  next(timeoutMs?: number): Promise<{ payload: Buffer; from: Address } | undefined>
  readonly received: { payload: Buffer; from: Address }[]
}

export async function openPeer(
  host: string,
  { port = 0, isEcho = false }: { readonly port?: number; readonly isEcho?: boolean } = {},
): Promise<Peer> {
  const socket = createSocket({
    type: host.includes(':') ? 'udp6' : 'udp4',
    recvBufferSize: 2 ** 20,
  })
  socket.bind(port, host)
  await once(socket, 'listening')
  const received: { payload: Buffer; from: Address }[] = []
  const waiting: ((each: { payload: Buffer; from: Address }) => void)[] = []
  socket.on('message', (payload: Buffer, { address, port }: RemoteInfo) => {
    const each = { payload, from: { host: address, port } }
    if (isEcho) socket.send(payload, port, address)
    const next = waiting.shift()
    if (next === undefined) received.push(each)
    else next(each)
  })
  socket.on('error', () => undefined)
  return {
    address: { host, port: socket.address().port },
    send: (payload, to) => socket.send(payload, to.port, to.host),
    received,
    next(timeoutMs = 2000) {
      const first = received.shift()
      if (first !== undefined) return Promise.resolve(first)
      return new Promise((resolve) => {
        const late = setTimeout(() => {
          waiting.splice(waiting.indexOf(take), 1)
          resolve(undefined)
        }, timeoutMs)
        const take = (each: { payload: Buffer; from: Address }): void => {
          clearTimeout(late)
          resolve(each)
        }
        waiting.push(take)
      })
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        socket.close(() => resolve())
      }),
  }
}
