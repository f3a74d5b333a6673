import { Unavailable } from '../../contract/error.ts'
import { formatTimestamp } from '../../contract/ids.ts'
import type { ConnectionId, ConversationId, Domain, UserId } from '../../contract/ids.ts'
import type { Ids } from '../../platform/ids.ts'
import type { Platform } from '../../platform/service.ts'
import { timeFor, type PushToInboxes } from './push.ts'
import { createEventFor, type EventBody } from './rules/events.ts'
import type { Room } from './rules/stored-conversation.ts'
import { serialByKey } from './serial.ts'
import type { Announcement, Change, ChangeStore } from './store/changes.ts'
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

/** The conversation as it is now, and how to change it while nobody else does. */
export interface Turn {
  readonly room: Room | undefined
  /** Answers when it is done and told: the time of each event in the actor's own inbox. */
  readonly perform: (actor: Actor, draft: ChangeDraft) => Promise<number[]>
}

export interface ChangeLog {
  /** Changes of one conversation in this process come one after the other. */
  within<T>(conversation: ConversationId, work: (turn: Turn) => Promise<T>): Promise<T>
  /** Sees through what began that long ago and was not finished. */
  finishAbandoned(olderThanMs: number, signal: AbortSignal): Promise<void>
}

/** An event of `conversation.create` repeats all members, so a push holds few of them. */
const createdPerPush = 25

/**
 * How conversations change. A change is written down whole, with its events and the ids of their
 * pushes; then its effects are done, its events pushed, and the note removed. All of these can be
 * done twice, so a change that was begun is seen through after a crash, or when gundeck is back: at
 * the latest before the next change of that conversation, and by a worker otherwise. So no member
 * learns of a change that did not happen, and none happens untold.
 *
 * Several processes may race for one conversation; then both changes happen and are told, in an
 * order that members may see differently.
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
    earlier?: { firstAttemptAgeMs: number | undefined },
  ): Promise<number[]> {
    await conversations.apply(change.conversation, change.effects, change.beganMs)
    const times: number[] = []
    for (const announcement of change.announcements) {
      times.push(await announce(change, announcement, earlier))
    }
    return times
  }

  /** Done once more if this fails, which does no harm. */
  async function forget(change: Change): Promise<void> {
    try {
      await changes.remove(change)
    } catch (err) {
      log.warn({ conversation: change.conversation, err }, 'a finished change stays noted')
    }
  }

  async function finish(conversation: ConversationId): Promise<void> {
    for (const change of await changes.listOf(conversation)) {
      const ageMs = clock.nowMs() - change.beganMs
      try {
        // A clock that was set back tells nothing.
        await seeThrough(change, { firstAttemptAgeMs: ageMs >= 0 ? ageMs : undefined })
      } catch (err) {
        if (err instanceof Unavailable) throw err
        // A defect must not stand in the way of every later change.
        log.error({ conversation, change: change.id, err }, 'a change could not be seen through')
      }
      await changes.remove(change)
    }
  }

  return {
    within: (conversation, work) =>
      serial(conversation, async () => {
        await finish(conversation)
        return work({
          room: await conversations.find(conversation),
          async perform(actor, draft) {
            const change: Change = {
              id: ids.uuid(),
              conversation,
              beganMs: clock.nowMs(),
              ...originOf(actor),
              effects: draft.effects,
              announcements: announcementsOf(draft, ids),
            }
            await changes.add(change)
            const times = await seeThrough(change)
            await forget(change)
            return times.slice(times.length - (draft.events?.length ?? 0))
          },
        })
      }),

    async finishAbandoned(olderThanMs, signal) {
      const found = new Set<ConversationId>()
      for await (const conversation of changes.scan(clock.nowMs() - olderThanMs)) {
        found.add(conversation)
      }
      for (const conversation of found) {
        if (signal.aborted) return
        try {
          await serial(conversation, () => finish(conversation))
          log.info({ conversation }, 'an interrupted change was seen through')
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
