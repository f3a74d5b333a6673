import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { ServeUpgrade } from './upgrade.ts'

export interface ServerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly listener: RequestListener
  readonly upgrade?: ServeUpgrade
}

export interface RunningServer {
  readonly url: string
  readonly port: number
  /** Takes no new connections, lets requests in progress finish for `graceMs`, then cuts. */
  close(graceMs: number): Promise<void>
}

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const server = createServer(
    {
      headersTimeout: 20_000,
      // Bodies have their own limits, by pauses: an upload over a slow line may take long.
      requestTimeout: 0,
      keepAliveTimeout: 65_000,
      maxHeaderSize: 32 * 1024,
      noDelay: true,
    },
    options.listener,
  )
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
    else socket.destroy()
  })
  if (options.upgrade !== undefined) server.on('upgrade', options.upgrade)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port, backlog: 4096 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const { port, family } = server.address() as AddressInfo
  const shown = options.host === '0.0.0.0' || options.host === '::' ? 'localhost' : options.host
  const host = family === 'IPv6' && shown !== 'localhost' ? `[${shown}]` : shown
  return {
    url: `http://${host}:${String(port)}`,
    port,
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      await Promise.race([closed, delay(graceMs, undefined, { ref: false })])
      server.closeAllConnections()
      await closed
    },
  }
}
