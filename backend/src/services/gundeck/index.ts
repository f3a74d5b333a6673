import type { Client } from '../../contract/endpoint.ts'
import type { brigInternalApi } from '../../contract/brig/internal.ts'
import { attachmentsApi, queueApi } from '../../contract/gundeck/attachments.ts'
import { inboxApi, pushApi } from '../../contract/gundeck/internal.ts'
import { ringApi } from '../../contract/gundeck/ring.ts'
import { notificationsApi } from '../../contract/gundeck/notifications.ts'
import { pushTokensApi } from '../../contract/gundeck/push-tokens.ts'
import { timeApi } from '../../contract/gundeck/time.ts'
import type { NativePush } from '../../ports/push.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { routes } from '../../platform/http/routes.ts'
import type { Platform, Service } from '../../platform/service.ts'
import { untilAnswered } from '../../platform/until-answered.ts'
import type { GundeckConfig } from './config.ts'
import { attachmentHandlers } from './handlers/attachments.ts'
import { inboxHandlers, queueHandlers } from './handlers/inboxes.ts'
import { notificationHandlers } from './handlers/notifications.ts'
import { pushTokenHandlers } from './handlers/push-tokens.ts'
import { pushHandlers } from './handlers/push.ts'
import { timeHandlers } from './handlers/time.ts'
import { createCannons } from './inbox/cannons.ts'
import type { CannonAt } from './inbox/cannons.ts'
import { createIdClock } from './inbox/id-clock.ts'
import type { GundeckHooks } from './inbox/inbox.ts'
import { createInboxes } from './inbox/inboxes.ts'
import { createQueues } from './inbox/queues.ts'
import { inboxReader } from './inbox/reader.ts'
import { createRecentRequests } from './inbox/recent-requests.ts'
import { beatOverPort } from './ring/beat-thread.ts'
import type { MainPort } from './ring/beat-thread.ts'
import { createRouter } from './ring/router.ts'
import type { OwnerAt } from './ring/router.ts'
import { joinRing } from './ring/several-owners.ts'
import { takeOver } from './ring/sole-owner.ts'
import { notificationIds } from './rules/notification-id.ts'
import { cursorStore, cursorsTable } from './store/cursors.ts'
import { idKeysTable, loadIdKeys } from './store/id-keys.ts'
import {
  bucketsTable,
  notificationStore,
  notificationsTable,
  payloadsTable,
} from './store/notifications.ts'
import { pushTokenStore, pushTokensTable } from './store/push-tokens.ts'
import { ringStore, ringTable } from './store/ring.ts'
import { clientActivity } from './workers/client-activity.ts'
import { nativePush } from './workers/native-push.ts'

export { GundeckConfig } from './config.ts'
export type { GundeckHooks, InboxStep } from './inbox/inbox.ts'

export interface GundeckDeps {
  readonly config: GundeckConfig
  readonly platform: Platform
  readonly db: WideColumnStore
  /** Whether no other process keeps inboxes in this store. */
  readonly isAlone: boolean
  /** To a thread that gives the sign of life, see `serveBeat`; without it this one does. */
  readonly beatPort?: MainPort
  /** Where other processes reach this one. */
  readonly address: string
  /** The gundeck that answers at the address it gave. */
  readonly ownerAt: OwnerAt
  /** The cannon that answers at the address it gave. */
  readonly cannonAt: CannonAt
  readonly brig: Pick<Client<typeof brigInternalApi>, 'touchClient'>
  /** Absent where no app can be woken. */
  readonly push?: NativePush
  readonly hooks?: GundeckHooks
}

/** The inboxes: stores notifications, pushes them to sockets, lets clients fetch them. */
export async function startGundeck(deps: GundeckDeps): Promise<Service> {
  const { config, db, beatPort } = deps
  const { clock, ids: random } = deps.platform
  const log = deps.platform.log.child({ service: 'gundeck' })
  await db.open([
    ringTable,
    notificationsTable,
    bucketsTable,
    payloadsTable,
    cursorsTable,
    idKeysTable,
    pushTokensTable,
  ])
  const stopping = new AbortController()
  const { signal } = stopping

  const idKeys = await untilAnswered(() => loadIdKeys(db, () => random.bytes(32)), {
    clock,
    signal,
    waiting: (err) => log.warn({ err }, 'waiting for the keys of notification ids'),
  })
  const ids = notificationIds(idKeys)
  const idClock = createIdClock(clock)
  const ringDeps = {
    store: ringStore(db),
    idClock,
    clock,
    log,
    instance: config.instance,
    address: deps.address,
  }
  const ring = deps.isAlone
    ? await takeOver(ringDeps)
    : await joinRing({
        ...ringDeps,
        startName: () => random.uuid(),
        hooks: deps.hooks,
        beat: beatPort && ((beatDeps) => beatOverPort(beatPort, beatDeps)),
      })
  const store = notificationStore(db)
  const cursors = cursorStore(db)
  const tokens = pushTokenStore(db)
  const recent = createRecentRequests()
  const waking = deps.push && nativePush({ push: deps.push, tokens, log })
  const inboxes = createInboxes({
    store,
    ring,
    idClock,
    ids,
    recent,
    clock,
    log,
    hooks: deps.hooks,
    signal,
    ...(waking ? { stored: (append, id, sockets) => waking.wake(append, id, sockets) } : {}),
    limits: {
      waitingPerInbox: config.waitingPerInbox,
      waitingBytes: config.waitingBytes,
      inFlight: config.inFlight,
      appendTimeoutMs: config.appendTimeoutSeconds * 1000,
    },
  })
  const reader = inboxReader({ store, log })
  const queues = createQueues({ cursors, store, inboxes, ring, idClock, clock, log })
  const cannons = createCannons({
    cannonAt: deps.cannonAt,
    inboxes,
    ring,
    clock,
    log,
  })
  const router = createRouter({ ring, ownerAt: deps.ownerAt, clock })
  const activity = clientActivity({ brig: deps.brig, clock, log })

  const workers = [ring, inboxes, queues, cannons].map((worker) =>
    worker.run(signal).catch((error: unknown) => log.fatal({ err: error }, 'worker ended')),
  )

  async function release(): Promise<void> {
    try {
      await ring.release()
    } catch (error) {
      // The next owner starts above the ceiling instead.
      log.warn({ err: error }, 'inboxes not released')
    }
  }

  let isDraining = false
  return {
    name: 'gundeck',
    routes: [
      ...routes(pushApi, pushHandlers({ inboxes, store, ring, router, clock })),
      ...routes(inboxApi, inboxHandlers({ inboxes, queues, router, store, tokens })),
      ...routes(queueApi, queueHandlers({ queues, router })),
      ...routes({ ...attachmentsApi, ...ringApi }, attachmentHandlers({ cannons, reader, ring })),
      ...routes(
        notificationsApi,
        notificationHandlers({ reader, cursors, ids, ring, clock, activity }),
      ),
      ...routes(pushTokensApi, pushTokenHandlers({ tokens, push: deps.push })),
      ...routes(timeApi, timeHandlers({ clock })),
    ],
    sockets: [],
    async missing() {
      return ring.isAlive || isDraining ? [] : ['inbox ring']
    },
    async drain() {
      if (isDraining) return
      isDraining = true
      // Others take the inboxes over and go on at once; this process brings calls to them meanwhile.
      if (ring.hasRivals) await release()
      // Callers are answered within their time; a batch in doubt may take longer than anybody waits.
      const patienceMs = config.appendTimeoutSeconds * 1000 + 2000
      await Promise.race([inboxes.drain(), clock.sleep(patienceMs, signal).catch(() => undefined)])
      if (!ring.hasRivals) await release()
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await Promise.all(workers)
    },
  }
}
