import type { Handlers } from '../../../contract/endpoint.ts'
import { Unavailable } from '../../../contract/error.ts'
import type { Push, pushApi } from '../../../contract/gundeck/internal.ts'
import type { UserId } from '../../../contract/ids.ts'
import type { Append, AppendDelivery } from '../inbox/append.ts'
import type { Inboxes } from '../inbox/inboxes.ts'
import { encodeTemplate, payloadTemplate } from '../rules/payload.ts'
import type { NotificationStore } from '../store/notifications.ts'

/** A payload longer than this that goes to several inboxes is stored once. */
const sharedFromChars = 8 * 1024
const noEvents = '[]'
/** What a row takes besides its payloads. */
const rowBytes = 256
/** Of a call that says it is a repeat but not since when. */
const unknownAttemptAgeMs = 5 * 60_000

export function pushHandlers(deps: {
  inboxes: Inboxes
  store: NotificationStore
}): Handlers<typeof pushApi> {
  const { inboxes, store } = deps
  return {
    async push({ body }) {
      const firstAttemptAgeMs = body.isRepeat
        ? (body.firstAttemptAgeMs ?? unknownAttemptAgeMs)
        : undefined
      const appends: Append[] = []
      /** The push that each append belongs to. */
      const pushOf: number[] = []
      const shared: Promise<void>[] = []
      for (const [index, push] of body.pushes.entries()) {
        for (const append of split(push, firstAttemptAgeMs)) {
          appends.push(append)
          pushOf.push(index)
        }
        const template = sharedTemplate(push)
        if (template !== undefined) shared.push(store.putPayload(push.requestId, template))
      }
      // Before the rows that name them.
      if (shared.length > 0) await Promise.all(shared)

      const eventTimesMs = body.pushes.map((): Record<UserId, number> => ({}))
      const outcomes = await inboxes.append(appends)
      for (const [at, outcome] of outcomes.entries()) {
        if (outcome.kind === 'failed') throw outcome.error
        if (outcome.kind === 'not-owner') throw new Unavailable('the inbox is owned elsewhere')
        const times = eventTimesMs[pushOf[at] ?? -1]
        const user = appends[at]?.user
        if (outcome.timeMs !== undefined && times && user) times[user] = outcome.timeMs
      }
      return { status: 200, body: { eventTimesMs } }
    },
  }
}

/** One append for each user, however often the push names them. */
function split(push: Push, firstAttemptAgeMs: number | undefined): Iterable<Append> {
  const hasTime = push.eventTimeMs !== undefined
  const common = push.events && payloadTemplate(push.events, hasTime)
  const isShared = common !== undefined && isStoredOnce(push, common.text.length)
  const appends = new Map<UserId, Append & { deliveries: AppendDelivery[] }>()
  for (const { user, clients, events } of push.recipients) {
    const template = events ? payloadTemplate(events, hasTime) : common
    if (template === undefined || template.text === noEvents) continue
    const isCommon = template === common
    const delivery: AppendDelivery = {
      clients,
      template,
      sharedPayload: isCommon && isShared ? push.requestId : undefined,
    }
    const bytes = isCommon && isShared ? 0 : template.text.length
    const known = appends.get(user)
    if (known) {
      known.deliveries.push(delivery)
      known.sizeBytes += bytes
      continue
    }
    appends.set(user, {
      user,
      request: push.requestId,
      deliveries: [delivery],
      isTransient: push.isTransient === true,
      origin: push.origin?.user === user ? push.origin.connection : undefined,
      eventTimeMs: push.eventTimeMs,
      priority: push.priority ?? 'high',
      sizeBytes: rowBytes + bytes,
      firstAttemptAgeMs,
    })
  }
  return appends.values()
}

function isStoredOnce(push: Push, chars: number): boolean {
  return !push.isTransient && push.recipients.length > 1 && chars > sharedFromChars
}

function sharedTemplate(push: Push): string | undefined {
  if (push.isTransient || push.recipients.length < 2 || push.events === undefined) return undefined
  const template = payloadTemplate(push.events, push.eventTimeMs !== undefined)
  return isStoredOnce(push, template.text.length) ? encodeTemplate(template) : undefined
}
