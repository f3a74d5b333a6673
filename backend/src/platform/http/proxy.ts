import { request as httpRequest, type Agent } from 'node:http'
import { pipeline } from 'node:stream'
import { Unavailable } from '../../contract/error.ts'
import { sendError } from './reply.ts'
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
  return (incoming, outgoing) =>
    new Promise((resolve) => {
      const headers = Object.fromEntries(
        Object.entries(incoming.headers).filter(([name]) => !hopByHop.has(name)),
      )
      if (incoming.headers['transfer-encoding'] !== undefined) {
        headers['transfer-encoding'] = 'chunked'
      }
      const fail = (cause: Error): void => {
        // The request's head must be whole before an answer makes sense.
        if (!outgoing.destroyed) {
          sendError(outgoing, new Unavailable('reach a service', { cause, retryAfterSeconds: 1 }))
        }
        resolve()
      }
      const forwarded = httpRequest(
        new URL(incoming.url ?? '/', address()),
        { method: incoming.method, headers, agent },
        (reply) => {
          for (const [name, value] of Object.entries(reply.headers)) {
            if (value !== undefined && !hopByHop.has(name)) outgoing.setHeader(name, value)
          }
          outgoing.writeHead(reply.statusCode ?? 502)
          pipeline(reply, outgoing, () => resolve())
        },
      )
      forwarded.on('error', fail)
      outgoing.on('close', () => {
        if (!outgoing.writableFinished) forwarded.destroy()
        resolve()
      })
      pipeline(incoming, forwarded, (error) => {
        if (error) forwarded.destroy(error)
      })
    })
}
