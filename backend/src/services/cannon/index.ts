import type { WebSocket } from 'ws'
import { awaitSocket, websocketSocket } from '../../contract/cannon/await.ts'
import { eventsSocket } from '../../contract/cannon/events.ts'
import { deliveriesApi } from '../../contract/cannon/internal.ts'
import type { Client } from '../../contract/endpoint.ts'
import { ApiError, Unavailable, kitErrors } from '../../contract/error.ts'
import type { attachmentsApi, queueApi } from '../../contract/gundeck/attachments.ts'
import type { ringApi } from '../../contract/gundeck/ring.ts'
import type { ClientId, UserId } from '../../contract/ids.ts'
import type { PresenceStore } from '../../ports/presence.ts'
import { routes, socketRoute } from '../../platform/http/routes.ts'
import type { SocketRequest } from '../../platform/http/routes.ts'
import type { Platform, Service } from '../../platform/service.ts'
import { createTimerWheel } from '../../platform/ws/timer-wheel.ts'
import type { AccessToken } from '../../platform/zauth/token.ts'
import type { TokenVerifier } from '../../platform/zauth/verifier.ts'
import type { CannonConfig } from './config.ts'
import { deliverHandlers } from './handlers/deliver.ts'
import { createAcknowledgements } from './sockets/acknowledgements.ts'
import { awaitProtocol } from './sockets/await-protocol.ts'
import { closeSpread } from './sockets/drain.ts'
import { eventsProtocol } from './sockets/events-protocol.ts'
import { limitConcurrency } from './sockets/limit-concurrency.ts'
import { LiveSocket } from './sockets/live-socket.ts'
import type { SocketDeps, SocketProtocol } from './sockets/live-socket.ts'
import { createOwnerLinks } from './sockets/owner-links.ts'
import type { OwnerAt } from './sockets/owner-links.ts'
import { createPresences } from './sockets/presences.ts'

export { CannonConfig } from './config.ts'

export interface CannonDeps {
  readonly config: CannonConfig
  readonly platform: Platform
  readonly tokens: TokenVerifier
  /** Any gundeck. */
  readonly gundeck: Client<typeof attachmentsApi & typeof queueApi & typeof ringApi>
  /** The gundeck that answers at the address in the ring. */
  readonly ownerAt: OwnerAt
  /** Where gundeck reaches this process. */
  readonly address: string
  /** A hint for others; delivery does not need it. */
  readonly presence?: PresenceStore
}

type Opened = (webSocket: WebSocket | undefined) => void

/** Reads of sockets that catch up, at the same time. */
const readsAtOnce = 64
/**
 * Without the word of an inbox's owner that it is one for so long, this cannon may be cut off from
 * where messages arrive: it is not ready, and sends the clients concerned to others.
 */
const longestSilenceMs = 5000
/** Sockets whose owner is silent are closed over so long. */
const sendAwaySeconds = 30

/** The sockets: holds clients' connections and writes to them what the inboxes deliver. */
export async function startCannon(deps: CannonDeps): Promise<Service> {
  const { config, tokens, gundeck, address } = deps
  const { clock, ids } = deps.platform
  const log = deps.platform.log.child({ service: 'cannon' })
  const stopping = new AbortController()
  /** Of this process start: attachment numbers begin anew. */
  const cannon = ids.uuid()

  const link = createOwnerLinks<LiveSocket>({
    gundeck,
    ownerAt: deps.ownerAt,
    cannon,
    address,
    clock,
    log,
  })
  const { signal } = stopping
  const acknowledgements = createAcknowledgements({ gundeck, clock, log, signal })
  const wheel = createTimerWheel<LiveSocket>({ clock, turnSeconds: config.pingSeconds })
  const presences =
    deps.presence &&
    createPresences({
      store: deps.presence,
      instance: cannon,
      sockets: () => wheel.items(),
      clock,
      log,
    })
  let isDraining = false
  let emptied: (() => void) | undefined

  const socketDeps: SocketDeps = {
    link,
    gundeck,
    clock,
    log,
    longestSocketMs: config.longestSocketSeconds * 1000,
    limitReads: limitConcurrency(readsAtOnce),
    onOpen: (socket) => presences?.onOpen(socket),
    onClosed(socket) {
      wheel.remove(socket)
      presences?.onClosed(socket)
      if (wheel.size === 0) emptied?.()
    },
  }

  function authenticate(text: string | undefined): AccessToken {
    const verdict = tokens.verify(text ?? '', ['access', 'legalhold-access'])
    if (verdict.ok) return verdict.token
    throw new ApiError(
      verdict.reason === 'wrong-type' ? kitErrors.accessDenied : kitErrors.unauthorized,
    )
  }

  function admit(user: UserId): void {
    if (link.silenceMs(user) > longestSilenceMs) {
      throw new Unavailable('the owner of the inbox is silent', { retryAfterSeconds: 1 })
    }
    if (isDraining) throw new Unavailable('cannon is stopping', { retryAfterSeconds: 1 })
    if (wheel.size >= config.largestSockets) throw new Unavailable('too many sockets')
  }

  function createSocket(
    { user, connection }: AccessToken,
    client: ClientId | undefined,
    protocol: SocketProtocol,
  ): LiveSocket {
    const socket = new LiveSocket({ user, client, connection }, protocol, socketDeps)
    wheel.add(socket)
    return socket
  }

  /** Attached before the upgrade is answered: nothing that comes later is missed. */
  async function attach(socket: LiveSocket): Promise<void> {
    try {
      await socket.attach()
    } catch (error) {
      socket.close(1001, '')
      throw error
    }
  }

  async function openAwait({
    token,
    query,
  }: Pick<SocketRequest<typeof awaitSocket>, 'token' | 'query'>): Promise<Opened> {
    const access = authenticate(token)
    admit(access.user)
    const socket = createSocket(access, query.client, awaitProtocol)
    await attach(socket)
    return (webSocket) => socket.opened(webSocket)
  }

  async function openEvents(opening: SocketRequest<typeof eventsSocket>): Promise<Opened> {
    const { token, query, request } = opening
    const access = authenticate(token)
    if (!config.consumableNotifications) throw new ApiError(kitErrors.notFound)
    admit(access.user)
    const syncMarker = request.version >= 9 ? query.sync_marker : undefined
    const { client } = query
    if (client === undefined) {
      const protocol = eventsProtocol({ queue: undefined, syncMarker: undefined, acknowledgements })
      const socket = createSocket(access, undefined, protocol)
      await attach(socket)
      return (webSocket) => socket.opened(webSocket)
    }
    // What the client acknowledged a moment ago, on another socket, must not come again.
    await acknowledgements.flush()
    const { body } = await gundeck.openQueue({ params: { user: access.user, client } })
    if (body.queue === undefined) throw new ApiError(kitErrors.notFound)
    const queue = { ...body.queue, client }
    const protocol = eventsProtocol({ queue, syncMarker, acknowledgements })
    const socket = createSocket(access, client, protocol)
    socket.startAfter(queue.cursor)
    return (webSocket) => socket.opened(webSocket)
  }

  /** So that clients go where their messages arrive, and not all in the same second. */
  const silenceWatch = {
    async run(signal: AbortSignal): Promise<void> {
      let perSecond = 0
      while (!signal.aborted) {
        await clock.sleep(1000, signal).catch(() => undefined)
        if (link.longestSilenceMs() <= longestSilenceMs) {
          perSecond = 0
          continue
        }
        const isCutOff = ({ user }: LiveSocket): boolean => link.silenceMs(user) > longestSilenceMs
        const affected = [...wheel.items()].filter(isCutOff)
        if (affected.length === 0) continue
        if (perSecond === 0) log.warn({ sockets: affected.length }, 'an owner of inboxes is silent')
        perSecond ||= Math.ceil(affected.length / sendAwaySeconds)
        for (const socket of affected.slice(0, perSecond)) socket.close(1001, 'reconnect')
      }
    },
  }

  const workers = [link, wheel, silenceWatch, ...(presences ? [presences] : [])].map((worker) =>
    worker
      .run(stopping.signal)
      .catch((error: unknown) => log.fatal({ err: error }, 'worker ended')),
  )

  return {
    name: 'cannon',
    routes: routes(deliveriesApi, deliverHandlers({ link })),
    sockets: [
      socketRoute('await', awaitSocket, openAwait),
      socketRoute('websocket', websocketSocket, openAwait),
      socketRoute('events', eventsSocket, openEvents),
    ],
    async missing() {
      return link.longestSilenceMs() > longestSilenceMs ? ['gundeck'] : []
    },
    async drain() {
      if (isDraining) return
      isDraining = true
      const sockets = [...wheel.items()]
      const { promise, resolve } = Promise.withResolvers<void>()
      emptied = resolve
      if (wheel.size === 0) resolve()
      log.info({ sockets: sockets.length }, 'closing sockets')
      await closeSpread(sockets, (socket) => socket.close(1001, ''), config.drain, clock)
      // Clients answer the close within a round trip; those that do not are not waited for long.
      const patience = new AbortController()
      await Promise.race([promise, clock.sleep(2000, patience.signal)])
      patience.abort()
      await acknowledgements.flush()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of wheel.items()) socket.terminate()
      stopping.abort()
      await Promise.all(workers)
    },
  }
}
