import { request as httpRequest } from 'node:http'
import type { Agent, IncomingMessage, ServerResponse } from 'node:http'
import { Unavailable } from '../../contract/error.ts'
import { dropRest } from './linger.ts'
import { sendError } from './reply.ts'
import { splitTarget } from './request.ts'
import type { Serve } from './serve.ts'
import { targets } from './upstream.ts'
import type { Upstream } from './upstream.ts'

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

/**
 * Streams requests to a service in another process and its replies back. When the chosen instance
 * cannot be reached at all, one other is tried; when it hangs, the caller is told 503, or the reply is
 * cut where it has begun.
 */
export function createProxy(upstream: Upstream, agent: Agent): Serve {
  const targetOf = targets()

  function forward(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    chosen: string,
    isLast: boolean,
  ): void {
    const forwarded = httpRequest({
      ...targetOf(chosen),
      path: pathOf(incoming),
      method: incoming.method,
      headers: headersOf(incoming),
      agent,
    })
    let isConnected = false
    const end = upstream.begin(chosen, (reason) => forwarded.destroy(reason))
    forwarded.on('close', () => end(undefined))
    forwarded.on('socket', (socket) => {
      const begin = (): void => {
        isConnected = true
        incoming.pipe(forwarded)
      }
      if (socket.connecting) socket.once('connect', begin)
      else begin()
    })
    forwarded.on('error', (cause) => {
      if (outgoing.headersSent || outgoing.destroyed) return
      end(false)
      incoming.unpipe(forwarded)
      if (!isConnected && !isLast) {
        const other = upstream.address()
        if (other !== chosen) {
          forward(incoming, outgoing, other, true)
          return
        }
      }
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
        end(true)
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
    })
  }

  return (incoming, outgoing) =>
    new Promise((resolve) => {
      outgoing.on('close', () => resolve())
      forward(incoming, outgoing, upstream.address(), false)
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
