import type { IncomingMessage, ServerResponse } from 'node:http'

/** Sets what browsers want to know; true when the request was a preflight, which is answered then. */
export type AnswerBrowser = (request: IncomingMessage, response: ServerResponse) => boolean

/** Only pages from the listed origins may call, with cookies. */
export function cors(origins: readonly string[]): AnswerBrowser {
  const allowed = new Set(origins.map((origin) => new URL(origin).origin))
  return function answerBrowser({ method, headers }, response) {
    response.setHeader('vary', 'Origin')
    if (headers.origin !== undefined && allowed.has(headers.origin)) {
      response.setHeader('access-control-allow-origin', headers.origin)
      response.setHeader('access-control-allow-credentials', 'true')
      response.setHeader('access-control-expose-headers', 'Request-Id, Location, Replay-Nonce')
    }
    if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return false
    const methods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'
    response.setHeader('access-control-allow-methods', methods)
    response.setHeader('access-control-max-age', '7200')
    const wanted = headers['access-control-request-headers']
    if (wanted !== undefined) response.setHeader('access-control-allow-headers', wanted)
    response.writeHead(204).end()
    return true
  }
}
