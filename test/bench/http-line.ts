import { connect, type Socket } from 'node:net'

/**
 * One kept-open HTTP/1.1 connection that sends prepared requests one after the other. Parsing is
 * kept to the status and the length, so that the load generator costs little beside the server.
 */
export interface HttpLine {
  /** Resolves with the status of the reply. */
  send(request: Buffer): Promise<number>
  close(): void
}

export async function openHttpLine(url: string): Promise<HttpLine> {
  const { hostname, port } = new URL(url)
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opening = connect(Number(port), hostname, () => resolve(opening))
    opening.setNoDelay(true)
    opening.once('error', reject)
  })
  let waiting: { resolve: (status: number) => void; reject: (error: Error) => void } | undefined
  let held: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const end = held.indexOf('\r\n\r\n')
    if (end === -1) return
    const head = held.toString('latin1', 0, end)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    if (held.length < end + 4 + length) return
    held = held.subarray(end + 4 + length)
    const settled = waiting
    waiting = undefined
    settled?.resolve(Number(head.slice(9, 12)))
  })
  socket.on('close', () => waiting?.reject(new Error('the connection was closed')))
  socket.on('error', (error) => waiting?.reject(error))
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) {
          reject(new Error('the connection was closed'))
          return
        }
        waiting = { resolve, reject }
        socket.write(request)
      }),
    close: () => socket.destroy(),
  }
}

/** A whole request as it goes over the line. */
export function preparedRequest(request: {
  method: string
  path: string
  token: string
  contentType: string
  body: Uint8Array
}): Buffer {
  const head = [
    `${request.method} ${request.path} HTTP/1.1`,
    'host: bench',
    `authorization: Bearer ${request.token}`,
    `content-type: ${request.contentType}`,
    `content-length: ${String(request.body.length)}`,
  ].join('\r\n')
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`), request.body])
}
