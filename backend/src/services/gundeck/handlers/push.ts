import type { Handlers } from '../../../contract/endpoint.ts'
import type { Push, pushApi } from '../../../contract/gundeck/internal.ts'
import type { UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { Append, AppendDelivery } from '../inbox/append.ts'
import type { Inboxes } from '../inbox/inboxes.ts'
import { NotOwner } from '../ring/ring.ts'
import type { Ring } from '../ring/ring.ts'
import type { Router } from '../ring/router.ts'
import { encodeTemplate, payloadTemplate } from '../rules/payload.ts'
import type { NotificationStore } from '../store/notifications.ts'

/** A payload longer than this that goes to several inboxes is stored once. */
const sharedFromChars = 8 * 1024
const noEvents = '[]'
/** What a row takes besides its payloads. */
const rowBytes = 256
/** Of a call that says it is a repeat but not since when. */
const unknownAttemptAgeMs = 5 * 60_000

/**
 * Any gundeck takes a push, stores what is for its own inboxes and asks the owners of the others. A
 * call of another gundeck is answered for the inboxes owned here, and names the rest.
 */
export function pushHandlers(deps: {
  inboxes: Inboxes
  store: NotificationStore
  ring: Ring
  router: Router
  clock: Clock
}): Handlers<typeof pushApi> {
  const { inboxes, store, ring, router, clock } = deps

  /** @returns Those whose inboxes are elsewhere. */
  async function storeHere(
    pushes: readonly Push[],
    firstAttemptAgeMs: number | undefined,
    eventTimesMs: readonly Times[],
  ): Promise<UserId[]> {
    const appends: Append[] = []
    /** The push that each append belongs to. */
    const pushOf: number[] = []
    const shared: Promise<void>[] = []
    for (const [index, push] of pushes.entries()) {
      for (const append of split(push, firstAttemptAgeMs)) {
        appends.push(append)
        pushOf.push(index)
      }
      const template = sharedTemplate(push)
      if (template !== undefined) shared.push(store.putPayload(push.requestId, template))
    }
    // Before the rows that name them.
    if (shared.length > 0) await Promise.all(shared)

    const elsewhere = new Set<UserId>()
    for (const [at, outcome] of (await inboxes.append(appends)).entries()) {
      if (outcome.kind === 'failed') throw outcome.error
      const times = eventTimesMs[pushOf[at] ?? -1]
      const user = appends[at]?.user
      if (user === undefined) continue
      if (outcome.kind === 'not-owner') elsewhere.add(user)
      else if (outcome.timeMs !== undefined && times) times[user] = outcome.timeMs
    }
    return [...elsewhere]
  }

  return {
    async push({ body }) {
      const { pushes, isRepeat, ringVersion } = body
      const eventTimesMs = pushes.map((): Times => ({}))
      const age = isRepeat ? (body.firstAttemptAgeMs ?? unknownAttemptAgeMs) : undefined
      if (ringVersion !== undefined) {
        await ring.refresh(ringVersion)
        const elsewhere = await storeHere(pushes, age, eventTimesMs)
        const answer = { eventTimesMs, elsewhere, ringVersion: ring.map.version }
        return { status: 200, body: answer }
      }
      if (!ring.hasRivals) {
        const elsewhere = await storeHere(pushes, age, eventTimesMs)
        if (elsewhere.length > 0) throw new NotOwner()
        return { status: 200, body: { eventTimesMs } }
      }

      const startedMs = clock.monotonicMs()
      const users = new Set(pushes.flatMap(({ recipients }) => recipients.map(({ user }) => user)))
      /** What was tried before may be stored, though nobody said so. */
      const ageIn = (round: number): number | undefined => {
        if (round === 0 && age === undefined) return undefined
        return (age ?? 0) + Math.ceil(clock.monotonicMs() - startedMs)
      }
      await router.atOwners(
        [...users],
        {},
        {
          async here(own, round) {
            const part = own.length === users.size ? pushes : partOf(pushes, own)
            return storeHere(part, ageIn(round), eventTimesMs)
          },
          async there(owner, theirs, { query, signal, round }) {
            const first = ageIn(round)
            const reply = await owner.push({
              body: {
                pushes: partOf(pushes, theirs),
                ...query,
                ...(first === undefined ? {} : { isRepeat: true, firstAttemptAgeMs: first }),
              },
              signal,
            })
            for (const [index, times] of reply.body.eventTimesMs.entries()) {
              Object.assign(eventTimesMs[index] ?? {}, times)
            }
            const { elsewhere = [], ringVersion: theirVersion = 0 } = reply.body
            if (elsewhere.length > 0) await ring.refresh(theirVersion)
            return elsewhere
          },
        },
      )
      return { status: 200, body: { eventTimesMs } }
    },
  }
}

type Times = Record<UserId, number>

/** The pushes in their order, as they concern these users. */
function partOf(pushes: readonly Push[], users: readonly UserId[]): Push[] {
  const wanted = new Set(users)
  return pushes.map((push) => ({
    ...push,
    recipients: push.recipients.filter(({ user }) => wanted.has(user)),
  }))
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
