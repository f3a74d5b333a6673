import { Unavailable } from '../../contract/error.ts'
import { formatTimestamp } from '../../contract/ids.ts'
import type { ConnectionId, ConversationId, Domain, UserId } from '../../contract/ids.ts'
import type { Ids } from '../../platform/ids.ts'
import type { Platform } from '../../platform/service.ts'
import { timeFor, type PushToInboxes } from './push.ts'
import { createEventFor, type EventBody } from './rules/events.ts'
import type { Room } from './rules/stored-conversation.ts'
import { serialByKey } from './serial.ts'
import type { Announcement, Change, ChangeStore, LastChange, Mark } from './store/changes.ts'
import type { ConversationStore, Effect } from './store/conversations.ts'

/** Who changes something. The acting connection does not get the event on its socket. */
export interface Actor {
  readonly user: UserId
  readonly connection?: ConnectionId | undefined
}

export interface ChangeDraft {
  readonly effects: readonly Effect[]
  /** Told one after the other, in this order. */
  readonly events?: readonly { readonly event: EventBody; readonly to: readonly UserId[] }[]
  /** These get `conversation.create`, before the events. */
  readonly created?: readonly UserId[]
}

/** The conversation as it is now, and how to change it if nobody else did. */
export interface Turn {
  readonly room: Room | undefined
  /**
   * Answers when it is done and told: the time of each event in the actor's own inbox. A turn has
   * one change, and what fails here is for `within`.
   */
  readonly perform: (actor: Actor, draft: ChangeDraft) => Promise<number[]>
}

export interface ChangeLog {
  /**
   * Changes of one conversation come one after the other. When another process changes it between
   * the look at the room and `perform`, the work is done again from the start, so everything before
   * `perform` must be safe to do twice.
   */
  within<T>(conversation: ConversationId, work: (turn: Turn) => Promise<T>): Promise<T>
  /** Sees through what began that long ago and was not finished. */
  finishAbandoned(olderThanMs: number, signal: AbortSignal): Promise<void>
}

/** An event of `conversation.create` repeats all members, so a push holds few of them. */
const createdPerPush = 25

/** Each means that another process was faster; more means that something is wrong. */
const mostAttempts = 10

/** A process that was overtaken lets the other one finish; longer with every time. */
const overtakenPauseMs = 25

/** Effects of one change are a microsecond apart, and there are far fewer of them. */
const microsBetweenChanges = 1000n

/** A push so late may be one that others sent, and whoever keeps the inbox now did not see that. */
const lateMs = 1000

/** Somebody else's change came first. */
class Overtaken extends Error {
  constructor() {
    super('another change of the conversation came first')
    this.name = 'Overtaken'
  }
}

/**
 * How conversations change. A change is written down whole, with its events and the ids of their
 * pushes; then its effects are done, its events pushed, and the note emptied. All of these can be
 * done twice, so a change that was begun is seen through after a crash, or when gundeck is back: at
 * the latest before the next change of that conversation, and by a worker otherwise. So no member
 * learns of a change that did not happen, and none happens untold.
 *
 * The notes of a conversation are one row, written on condition that it still holds what was read,
 * finished: so its changes have one order, in all processes, and each is made with the room before
 * it in view. Whoever comes second sees the first one through, as nobody can tell a process that is
 * slow from one that died, and begins again. What the slow one still does then harms nobody:
 * effects carry write times that rise from change to change, pushes are stored once, and before
 * each push it looks whether the change is still its own to tell. (Only who freezes between that look
 * and the push, for longer than gundeck remembers what it stored, could tell an event again.)
 */
export function changeLog(deps: {
  domain: Domain
  platform: Platform
  conversations: ConversationStore
  changes: ChangeStore
  push: PushToInboxes
}): ChangeLog {
  const { domain, conversations, changes, push } = deps
  const { clock, ids, log } = deps.platform
  const serial = serialByKey<ConversationId>()

  async function announce(
    change: Change,
    announcement: Announcement,
    earlier?: { firstAttemptAgeMs: number | undefined },
  ): Promise<number> {
    const { requestId, to } = announcement
    const { origin, beganMs } = change
    if (to.length === 0) return beganMs
    const common = { requestId, eventTimeMs: beganMs, ...(origin && { origin }) }
    if (announcement.kind === 'event') {
      const recipients = to.map((user) => ({ user }))
      const times = await push({ ...common, recipients, events: [announcement.event] }, earlier)
      return timeFor(origin?.user, times, beganMs)
    }
    const room = await conversations.find(change.conversation)
    const recipients = to.flatMap((user) => {
      const event = room && createEventFor(domain, room, user)
      return event ? [{ user, events: [event] }] : []
    })
    if (recipients.length > 0) await push({ ...common, recipients }, earlier)
    return beganMs
  }

  async function seeThrough(
    change: Change,
    earlier: () => { firstAttemptAgeMs: number | undefined } | undefined,
  ): Promise<number[]> {
    const { conversation, effects, beganMs, writtenAtMicros } = change
    await conversations.apply(conversation, effects, { atMs: beganMs, writtenAtMicros })
    const times: number[] = []
    for (const announcement of change.announcements) {
      // Others saw it through, and may be several changes further.
      const isTold = !(await changes.isUnfinished(change))
      times.push(isTold ? beganMs : await announce(change, announcement, earlier()))
    }
    return times
  }

  async function finish(change: Change): Promise<void> {
    const { conversation, id, beganMs } = change
    try {
      await seeThrough(change, () => {
        const ageMs = clock.nowMs() - beganMs
        // A clock that was set back tells nothing.
        return { firstAttemptAgeMs: ageMs >= 0 ? ageMs : undefined }
      })
    } catch (err) {
      if (err instanceof Unavailable) throw err
      // A defect must not stand in the way of every later change.
      log.error({ conversation, change: id, err }, 'a change could not be seen through')
    }
    // A read costs less than a conditional write that changes nothing.
    if (await changes.isUnfinished(change)) await changes.end(change)
  }

  /** The last change, seen through. A plain read may miss one that is about to win; it wins then. */
  async function settle(conversation: ConversationId): Promise<LastChange> {
    const { unfinished, ...last } = await changes.lastOf(conversation)
    if (unfinished) await finish(unfinished)
    return last
  }

  function following(
    conversation: ConversationId,
    last: LastChange,
    content: Pick<Change, 'origin' | 'effects' | 'announcements'>,
  ): Change {
    const beganMs = clock.nowMs()
    const nowMicros = BigInt(beganMs) * 1000n
    const earliestMicros = last.writtenAtMicros + microsBetweenChanges
    return {
      id: ids.uuid(),
      conversation,
      number: last.number + 1,
      beganMs,
      writtenAtMicros: nowMicros > earliestMicros ? nowMicros : earliestMicros,
      ...content,
    }
  }

  async function perform(change: Change, last: LastChange): Promise<number[]> {
    const startedMs = clock.monotonicMs()
    if (!(await changes.begin(change, last))) throw new Overtaken()
    const times = await seeThrough(change, () => {
      const ageMs = Math.ceil(clock.monotonicMs() - startedMs)
      return ageMs < lateMs ? undefined : { firstAttemptAgeMs: ageMs }
    })
    try {
      await changes.end(change)
    } catch (err) {
      // Seen through once more, which does no harm.
      log.warn({ conversation: change.conversation, err }, 'a finished change stays noted')
    }
    return times
  }

  /** Sees through what was marked, or makes sure that it cannot begin any more. */
  async function clear(mark: Mark): Promise<void> {
    const { conversation, number } = mark
    const last = await changes.lastOf(conversation, { isSerial: true })
    if (last.unfinished) {
      await finish(last.unfinished)
      log.info({ conversation }, 'an interrupted change was seen through')
    }
    if (last.number < number) {
      // Whoever marked the number may be slow: nothing takes it away.
      const nothing = following(conversation, last, { effects: [], announcements: [] })
      if (!(await changes.begin(nothing, last))) return
      await changes.end(nothing)
    }
    await changes.unmark(mark)
  }

  return {
    within: (conversation, work) =>
      serial(conversation, async () => {
        for (let attempt = 1; attempt <= mostAttempts; attempt += 1) {
          const last = await settle(conversation)
          const room = await conversations.find(conversation)
          let hasChanged = false
          try {
            return await work({
              room,
              async perform(actor, draft) {
                if (hasChanged) throw new TypeError('a turn has one change')
                hasChanged = true
                const content = {
                  ...originOf(actor),
                  effects: draft.effects,
                  announcements: announcementsOf(draft, ids),
                }
                const times = await perform(following(conversation, last, content), last)
                return times.slice(times.length - (draft.events?.length ?? 0))
              },
            })
          } catch (err) {
            if (!(err instanceof Overtaken)) throw err
            await clock.sleep(overtakenPauseMs * attempt)
          }
        }
        throw new Unavailable('other processes change the conversation all the time', {
          retryAfterSeconds: 1,
        })
      }),

    async finishAbandoned(olderThanMs, signal) {
      const marks: Mark[] = []
      for await (const mark of changes.scan(clock.nowMs() - olderThanMs)) marks.push(mark)
      for (const mark of marks) {
        if (signal.aborted) return
        const { conversation } = mark
        try {
          await serial(conversation, () => clear(mark))
        } catch (err) {
          // Inboxes have different owners: others may well be reachable.
          log.warn({ conversation, err }, 'an interrupted change waits for another attempt')
        }
      }
    },
  }
}

function announcementsOf(draft: ChangeDraft, ids: Ids): Announcement[] {
  const { created = [], events = [] } = draft
  const announcements: Announcement[] = []
  for (let at = 0; at < created.length; at += createdPerPush) {
    const to = created.slice(at, at + createdPerPush)
    announcements.push({ kind: 'created', requestId: ids.uuid(), to })
  }
  for (const { event, to } of events) {
    announcements.push({ kind: 'event', requestId: ids.uuid(), event, to })
  }
  return announcements
}

const originOf = ({ user, connection }: Actor) =>
  connection === undefined ? {} : { origin: { user, connection } }

/** The event as the reply tells it. */
export const withTime = <Body extends EventBody>(
  event: Body,
  timeMs: number,
): Body & { time: string } => ({ ...event, time: formatTimestamp(timeMs) })
