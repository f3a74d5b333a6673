import { createServer } from 'node:http'
import type { Config } from '../config.ts'
import { allocationsOf, renderMetrics } from './metrics.ts'
import type { Relay } from './supervisor.ts'

export interface OperatorServer extends AsyncDisposable {
  readonly port: number
}

/** Serves `/metrics` and `/status` to who is allowed to reach the address. */
export async function serveOperator(
  at: Exclude<Config['metrics'], 'off'>,
  relay: Relay,
): Promise<OperatorServer> {
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const url = request.url?.split('?')[0]
      if (request.method !== 'GET' || (url !== '/metrics' && url !== '/status')) {
        response.writeHead(404).end()
        return
      }
      const figures = await relay.figures()
      if (url === '/metrics') {
        response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
        response.end(renderMetrics(figures))
        return
      }
      const status = { allocations: allocationsOf(figures), isDraining: figures.isDraining }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(`${JSON.stringify({ ...status, processes: relay.processes() })}\n`)
    }
    answer().catch((error: unknown) => {
      relay.log.error({ reason: String(error) }, 'a request for figures failed')
      response.destroy()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: at.address, port: at.port }, () => resolve())
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : at.port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
