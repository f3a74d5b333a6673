import type { RequestHandler } from 'express'

/** Answers browsers: only pages from the listed origins may call, with cookies. */
export function cors(origins: readonly string[]): RequestHandler {
  const allowed = new Set(origins.map((origin) => new URL(origin).origin))
  return function corsHeaders(request, response, next) {
    response.vary('Origin')
    const origin = request.get('origin')
    if (origin !== undefined && allowed.has(origin)) {
      response.set({
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'Request-Id, Location, Replay-Nonce',
      })
    }
    const isPreflight =
      request.method === 'OPTIONS' && request.get('access-control-request-method') !== undefined
    if (!isPreflight) {
      next()
      return
    }
    response.set('access-control-allow-methods', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
    response.set('access-control-max-age', '7200')
    const wanted = request.get('access-control-request-headers')
    if (wanted !== undefined) response.set('access-control-allow-headers', wanted)
    response.status(204).end()
  }
}
