import { request as httpRequest, type Agent, type IncomingMessage } from 'node:http'
import { Unavailable } from '../../contract/error.ts'
import { targets } from './http-client.ts'
import { dropRest } from './linger.ts'
import { sendError } from './reply.ts'
import { splitTarget } from './request.ts'
import type { Serve } from './serve.ts'

/** Headers that belong to one connection, not to the message (RFC 9110 §7.6.1). */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Streams requests to a service in another process and its replies back. */
export function createProxy(address: () => string, agent: Agent): Serve {
  const targetOf = targets()
  return (incoming, outgoing) =>
    new Promise((resolve) => {
      const forwarded = httpRequest({
        ...targetOf(address()),
        path: pathOf(incoming),
        method: incoming.method,
        headers: headersOf(incoming),
        agent,
      })
      forwarded.on('error', (cause) => {
        if (outgoing.headersSent || outgoing.destroyed) return
        incoming.unpipe(forwarded)
        sendError(outgoing, new Unavailable('reach a service', { cause, retryAfterSeconds: 1 }))
      })
      forwarded.on('response', (reply) => {
        for (const [name, value] of Object.entries(reply.headers)) {
          if (value !== undefined && !hopByHop.has(name)) outgoing.setHeader(name, value)
        }
        const isWhole = incoming.complete
        if (!isWhole) outgoing.setHeader('connection', 'close')
        outgoing.writeHead(reply.statusCode ?? 502)
        reply.pipe(outgoing, { end: isWhole })
        reply.on('end', () => {
          if (isWhole) return
          incoming.unpipe(forwarded)
          dropRest(incoming, () => outgoing.end())
        })
        // Without an error of its own, a reply that was cut off would look like a whole one.
        reply.on('error', () => outgoing.destroy())
      })
      // Either side may go away at any time; the other one is told.
      incoming.on('error', () => forwarded.destroy())
      outgoing.on('close', () => {
        if (!outgoing.writableFinished) forwarded.destroy()
        resolve()
      })
      incoming.pipe(forwarded)
    })
}

/**
 * Path and query as they came. An absolute target names a host, and resolving dots would make the
 * service see another path than the one that was let through.
 */
function pathOf(incoming: IncomingMessage): string {
  const { path, query } = splitTarget(incoming.url ?? '/')
  return query === '' ? path : `${path}?${query}`
}

function headersOf({ headers }: IncomingMessage): Record<string, string | string[] | undefined> {
  const kept: Record<string, string | string[] | undefined> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (!hopByHop.has(name)) kept[name] = value
  }
  if (headers['transfer-encoding'] !== undefined) kept['transfer-encoding'] = 'chunked'
  return kept
}
