import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { ApiError, kitErrors } from '../../contract/error.ts'
import type { Platform } from '../service.ts'
import { refuseOn } from './linger.ts'
import { describe, toApiError } from './reply.ts'
import { parseQuery, splitTarget } from './request.ts'
import { RouteTable } from './route-table.ts'
import type { SocketRoute } from './routes.ts'

/** Wire's clients send acknowledgements and pings, nothing large. */
const maxFrameBytes = 64 * 1024

export type ServeUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Answers upgrades: the route's handler decides before the handshake is completed. */
export function createServeUpgrade(options: {
  readonly routes: readonly SocketRoute[]
  readonly platform: Platform
  readonly addressOf: (request: IncomingMessage) => string
}): ServeUpgrade {
  const { log, ids } = options.platform
  const table = new RouteTable(
    options.routes.map((route) => ({ ...route, method: 'GET' as const })),
  )
  const handshake = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxFrameBytes,
  })

  return function serveUpgrade(request, socket, head) {
    // Until the handshake is done nobody else listens for a broken connection.
    const ignore = (): void => undefined
    socket.on('error', ignore)
    const requestId = ids.uuid()
    open(request, requestId)
      .then(
        (accept) => {
          let isOpen = false
          if (!socket.destroyed) {
            socket.off('error', ignore)
            handshake.handleUpgrade(request, socket, head, (webSocket) => {
              isOpen = true
              accept(webSocket)
            })
          }
          if (!isOpen) accept(undefined)
        },
        (error: unknown) => {
          const known = toApiError(error)
          if (known.declaration.status === 500) {
            log.error({ requestId, err: error }, 'upgrade failed')
          }
          refuseOn(socket, known)
        },
      )
      .catch((error: unknown) => {
        log.error({ requestId, err: error }, 'socket failed as it opened')
        socket.destroy()
      })
  }

  async function open(
    request: IncomingMessage,
    requestId: string,
  ): Promise<Awaited<ReturnType<SocketRoute['open']>>> {
    const { path, query } = splitTarget(request.url ?? '/')
    const match = table.find('GET', path)
    if (match.kind !== 'found') {
      throw new ApiError(
        match.kind === 'unsupported-version' ? kitErrors.unsupportedVersion : kitErrors.notFound,
      )
    }
    requireHandshake(request)
    const parameters = parseQuery(query)
    const parsed = match.route.endpoint.query.safeParse(parameters)
    if (!parsed.success) {
      throw new ApiError(kitErrors.badRequest, {
        message: `In the query: ${describe(parsed.error)}`,
      })
    }
    const authorization = request.headers.authorization
    return match.route.open({
      query: parsed.data,
      token:
        authorization !== undefined && /^bearer /i.test(authorization)
          ? authorization.slice(7).trim()
          : parameters['access_token'],
      request: {
        version: match.version,
        requestId,
        address: options.addressOf(request),
        signal: abortedWhenClosed(request),
      },
    })
  }
}

/** What `ws` would refuse only after somebody has prepared for the socket (RFC 6455 §4.2.1). */
function requireHandshake({ method, headers }: IncomingMessage): void {
  if (method !== 'GET') throw new ApiError(kitErrors.methodNotAllowed)
  const isVersionKnown = headers['sec-websocket-version'] === '13'
  if (!isVersionKnown || !/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    throw new ApiError(kitErrors.badRequest, {
      message: 'The handshake must have version 13 and a key of 16 bytes',
    })
  }
}

function abortedWhenClosed(request: IncomingMessage): AbortSignal {
  const controller = new AbortController()
  request.socket.once('close', () => controller.abort())
  return controller.signal
}
