import { pino } from 'pino'
import { expect } from 'vitest'
import { conversationTypes } from '../../contract/galley/conversation-fields.ts'
import type { Push } from '../../contract/gundeck/internal.ts'
import type { ConversationId, Domain, UserId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'
import { systemIds } from '../../platform/ids.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { changeLog, type ChangeDraft, type ChangeLog } from './changes.ts'
import type { PushToInboxes } from './push.ts'
import type { EventBody } from './rules/events.ts'
import { memberOf, usersOf, type Room } from './rules/stored-conversation.ts'
import { changeStore, type Mark } from './store/changes.ts'
import { conversationStore } from './store/conversations.ts'

/*
 * Rooms that several galleys change, without the endpoints around them: each event carries the room
 * before and after it.
 */

const domain = 'example.org' as Domain
const ids = systemIds()
export const [alice, bob, carol, dave] = Array.from({ length: 4 }, () => ids.uuid() as UserId) as [
  UserId,
  UserId,
  UserId,
  UserId,
]
export const actor = { user: alice }

/** What an event tells, as far as these tests look: the room before it and after it. */
export interface Told {
  readonly attempt: string
  readonly before: string
  readonly after: string
}

/** Rooms as events show them. */
export const textOf = (name: string | undefined, members: readonly UserId[]): string =>
  `${name ?? ''}: ${members.toSorted().join(' ')}`
export const shown = ({ conversation, members }: Room): string =>
  textOf(
    conversation.name,
    members.map(({ user }) => user),
  )

const eventOf = (data: Told) =>
  ({ type: 'conversation.rename', data }) as unknown as EventBody<'conversation.rename'>

/** A rename, or somebody who comes in or goes; whichever fits the room as it is. */
export function draftOf(room: Room, what: UserId | 'rename', attempt: string): ChangeDraft {
  const members = usersOf(room)
  const before = shown(room)
  if (what === 'rename') {
    const event = eventOf({ attempt, before, after: textOf(attempt, members) })
    return {
      effects: [{ kind: 'change', changes: { name: attempt } }],
      events: [{ event, to: members }],
    }
  }
  const { name } = room.conversation
  if (memberOf(room, what)) {
    const others = members.filter((user) => user !== what)
    const event = eventOf({ attempt, before, after: textOf(name, others) })
    return { effects: [{ kind: 'leave', users: [what] }], events: [{ event, to: members }] }
  }
  const all = [...members, what]
  const event = eventOf({ attempt, before, after: textOf(name, all) })
  const member = { user: what, role: 'wire_member' } as const
  return { effects: [{ kind: 'join', members: [member] }], events: [{ event, to: all }] }
}

/** Inboxes that store a push once; one that is not said to be a repeat only if that is recent. */
export function inboxes(nowMs: () => number) {
  const entries = new Map<UserId, Told[]>()
  const storedMs = new Map<string, number>()
  return {
    of: (user: UserId): readonly Told[] => entries.get(user) ?? [],
    forget: () => storedMs.clear(),
    store(user: UserId, { requestId, events = [] }: Push, isRepeat: boolean): void {
      const key = `${user} ${requestId}`
      const knownMs = storedMs.get(key) ?? Number.NEGATIVE_INFINITY
      if (isRepeat ? storedMs.has(key) : nowMs() - knownMs < 60_000) return
      storedMs.set(key, nowMs())
      const inbox = entries.get(user) ?? []
      entries.set(user, inbox)
      for (const { data } of events) inbox.push(data as Told)
    },
  }
}

export async function createRoom(log: ChangeLog, id: ConversationId): Promise<void> {
  const conversation = {
    id,
    type: conversationTypes.group,
    creator: alice,
    access: [],
    accessRoles: [],
    cellsState: 'disabled',
  } as const
  await log.within(id, ({ perform }) =>
    perform(actor, {
      effects: [
        { kind: 'create', conversation },
        { kind: 'join', members: [alice, bob].map((user) => ({ user, role: 'wire_admin' })) },
      ],
    }),
  )
}

/** What one process has of galley to change conversations with. */
export function changingGalley(db: WideColumnStore, clock: Clock, push: PushToInboxes) {
  const conversations = conversationStore(db)
  const platform = { log: pino({ level: 'silent' }), clock, ids }
  const changes = changeStore(db)
  return { conversations, log: changeLog({ domain, platform, conversations, changes, push }) }
}

/**
 * Fails unless what members were told is one order of changes, each made with the one before in
 * view, which is what happened.
 *
 * @param answered The attempts that succeeded, as `draftOf` was given them: `<call>.<attempt>`.
 */
export async function expectOneOrder(
  { conversations }: ReturnType<typeof changingGalley>,
  inbox: ReturnType<typeof inboxes>,
  id: ConversationId,
  answered: readonly string[],
): Promise<void> {
  const room = await conversations.find(id)
  const told = inbox.of(alice)
  let now = textOf(undefined, [alice, bob])
  for (const { before, after } of told) {
    expect(before).toBe(now)
    now = after
  }
  expect(room && shown(room)).toBe(now)
  // Of several attempts the last; what was answered was told.
  const attempts = told.map(({ attempt }) => attempt)
  const calls = attempts.map((attempt) => attempt.split('.')[0])
  expect(new Set(calls).size).toBe(calls.length)
  expect(attempts).toEqual(expect.arrayContaining([...answered]))
  // Everybody who was in, or came in or went with it, in the same order.
  for (const user of [bob, carol, dave]) {
    const seen = told.filter(({ before, after }) => `${before} ${after}`.includes(user))
    expect(inbox.of(user)).toEqual(seen)
    const listed = await conversations.listOf(user, undefined, 10)
    expect(listed.includes(id)).toBe((room && memberOf(room, user)) !== undefined)
  }
}

export async function marksOf(db: WideColumnStore): Promise<Mark[]> {
  const marks: Mark[] = []
  for await (const mark of changeStore(db).scan(Number.MAX_SAFE_INTEGER)) marks.push(mark)
  return marks
}
