import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseQuery, splitTarget } from '../../platform/http/request.ts'
import type { Noticeboard } from './noticeboard.ts'

/**
 * The noticeboard for people and test clients: `GET /pushes` is JSON (`{pushes: PostedNotice[]}`,
 * oldest first), `DELETE /pushes?token=` removes the app with that token from its phone. Answers
 * false when the path is not one of these.
 */
export function serveNoticeboard(
  board: Noticeboard,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const { path, query } = splitTarget(request.url ?? '/')
  if (path !== '/pushes') return false
  if (request.method === 'GET') {
    send(response, 200, JSON.stringify({ pushes: board.list() }))
    return true
  }
  const { token } = parseQuery(query)
  if (request.method !== 'DELETE' || token === undefined) return false
  board.removeApp(token)
  send(response, 200, '{}')
  return true
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(text)
}
