import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { ApiError, kitErrors, type ErrorDeclaration } from '../../contract/error.ts'
import { refuseOn } from './linger.ts'
import type { ServeUpgrade } from './upgrade.ts'

/** How long a request may take to arrive. Bodies have shorter limits of their own, by pauses. */
export interface RequestTimeouts {
  /** Request line and headers; the first ones count from the connection on. */
  readonly headersMs: number
  /** All of it: an upload over a slow line may take long. */
  readonly requestMs: number
}

export interface ServerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly listener: RequestListener
  /** Without it nothing is upgraded. Only upgrades to a WebSocket come here. */
  readonly upgrade?: ServeUpgrade
  readonly timeouts?: Partial<RequestTimeouts>
  /** How long callers are told that this ends before it does; a second unless given. */
  readonly noticeMs?: number
}

export interface RunningServer {
  readonly url: string
  readonly port: number
  /**
   * Says on every connection that it ends, and for a while goes on answering those who have not heard
   * yet; then takes no new connections, lets requests in progress finish, and cuts after
   * `graceMs`. Sockets that were upgraded belong to whoever took them.
   */
  close(graceMs: number): Promise<void>
}

/** Requests of one connection at the same time. Wire's clients and proxies wait for each answer. */
const mostUnanswered = 100
/** Times are checked so often. */
const checkingMs = 5_000
/**
 * A request that is sent on a connection while that is being closed is lost, and nobody knows whether
 * it was done: so callers and balancers have so long to learn that this process stops.
 */
const defaultNoticeMs = 1_000

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { headersMs = 20_000, requestMs = 60 * 60_000 } = options.timeouts ?? {}
  /** Of each connection. Those that wait for their turn when it breaks are told nothing. */
  const unanswered = new Map<Socket, Set<ServerResponse>>()
  let isClosing = false
  const listener: RequestListener = (request, response) => {
    const waiting = unanswered.get(request.socket)
    if (waiting === undefined || waiting.size >= mostUnanswered) {
      request.socket.destroy()
      return
    }
    waiting.add(response)
    response.once('close', () => waiting.delete(response))
    if (isClosing) endAfter(response)
    options.listener(request, response)
  }
  const server = createServer(
    {
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: Math.min(checkingMs, headersMs),
      keepAliveTimeout: 65_000,
      maxHeaderSize: 32 * 1024,
      noDelay: true,
      shouldUpgradeCallback: ({ headers }) =>
        options.upgrade !== undefined && headers.upgrade?.toLowerCase() === 'websocket',
    },
    listener,
  )
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (isAnswering(socket)) socket.destroy()
    else refuseOn(socket, new ApiError(clientErrors.get(error.code ?? '') ?? kitErrors.badRequest))
  })
  server.on('connection', (socket) => {
    unanswered.set(socket, new Set())
    socket.once('close', () => unanswered.delete(socket))
  })
  const { upgrade } = options
  if (upgrade !== undefined) {
    server.on('upgrade', (request, socket, head) => {
      // It has other owners now, who may not let it tell us of its end.
      unanswered.delete(request.socket)
      upgrade(request, socket, head)
    })
  }
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
      isClosing = true
      for (const responses of unanswered.values()) {
        for (const response of responses) endAfter(response)
      }
      const untilMs = performance.now() + graceMs
      const hasCallers = unanswered.size > 0
      if (hasCallers) await delay(Math.min(options.noticeMs ?? defaultNoticeMs, graceMs))
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const leftMs = Math.max(0, untilMs - performance.now())
      await Promise.race([closed, delay(leftMs, undefined, { ref: false })])
      server.closeAllConnections()
    },
  }
}

/** Lets go of the connection once the response is sent: its client would keep it, and use it again. */
function endAfter(response: ServerResponse): void {
  const { socket } = response
  if (response.headersSent) response.once('finish', () => socket?.destroySoon())
  else response.setHeader('connection', 'close')
}

/** What Node's parser calls the faults that are not just nonsense. */
const clientErrors = new Map<string, ErrorDeclaration>([
  ['HPE_HEADER_OVERFLOW', kitErrors.headersTooLarge],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', kitErrors.tooLarge],
  ['ERR_HTTP_REQUEST_TIMEOUT', kitErrors.timeout],
])

/** Whether part of a reply went out already: another one must not go into the middle of it. */
function isAnswering(socket: Duplex): boolean {
  // Not documented but in an example of Node's; a test would notice.
  const response: unknown = Reflect.get(socket, '_httpMessage')
  return (
    typeof response === 'object' &&
    response !== null &&
    Reflect.get(response, 'headersSent') === true
  )
}
