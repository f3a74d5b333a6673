import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openSqlite } from '../../adapters/sqlite/wide-column.ts'
import { Unavailable } from '../../contract/error.ts'
import type { OwnConversation } from '../../contract/galley/conversation-fields.ts'
import type { Operation, WideColumnStore } from '../../ports/wide-column.ts'
import { fakeClock } from '../../platform/fake-clock.ts'
import {
  at,
  domain,
  fakeBrig,
  fakeGundeck,
  pathOf,
  startTestGalley,
  whileTimePasses,
  type Person,
  type TestGalley,
} from './test-galley.ts'

/** A store that dies: from some write on, every write fails until it is healed. */
function mortal(db: WideColumnStore) {
  let writesLeft = Number.POSITIVE_INFINITY
  function live<T>(write: () => Promise<T>): Promise<T> {
    writesLeft -= 1
    return writesLeft < 0 ? Promise.reject(new Unavailable('the process was killed')) : write()
  }
  const store: WideColumnStore = {
    ...db,
    put: (...given) => live(() => db.put(...given)),
    update: (...given) => live(() => db.update(...given)),
    remove: (...given) => live(() => db.remove(...given)),
    removeRange: (...given) => live(() => db.removeRange(...given)),
    batch: (operations: readonly Operation[]) => live(() => db.batch(operations)),
    putIfAbsent: (...given) => live(() => db.putIfAbsent(...given)),
    updateIf: (...given) => live(() => db.updateIf(...given)),
    removeIf: (...given) => live(() => db.removeIf(...given)),
  }
  return {
    store,
    dieAfter: (writes: number) => {
      writesLeft = writes
    },
    heal: () => {
      writesLeft = Number.POSITIVE_INFINITY
    },
  }
}

const clock = fakeClock()
let db: ReturnType<typeof mortal>
let gundeck: ReturnType<typeof fakeGundeck>
let galley: TestGalley
let alice: Person
let bob: Person
let carol: Person

beforeEach(async () => {
  db = mortal(await openSqlite({ file: ':memory:' }))
  gundeck = fakeGundeck()
  galley = await startTestGalley({ db: db.store, clock, gundeck, brig: fakeBrig() })
  ;[alice, bob, carol] = galley.friends(3) as [Person, Person, Person]
})
afterEach(async () => {
  await galley[Symbol.asyncDispose]()
  await db.store[Symbol.asyncDispose]()
})

const membersOf = async (group: OwnConversation, viewer = alice): Promise<Set<unknown>> => {
  const view = await viewer.call('GET', pathOf(group))
  const others = (at(view.body, 'members', 'others') ?? []) as { id: string }[]
  return new Set(others.map(({ id }) => id))
}
const listedBy = async (user: Person): Promise<unknown[]> => {
  const reply = await user.call('POST', '/conversations/list-ids', {})
  return (reply.body['qualified_conversations'] as { id: string }[]).map(({ id }) => id)
}
const add = (group: OwnConversation, user: Person) =>
  alice.call('POST', pathOf(group, '/members'), { qualified_users: [user.qualified] })
const rename = (group: OwnConversation, name: string) =>
  alice.call('PUT', pathOf(group, '/name'), { name })

describe('a process that dies in the middle of a change', () => {
  // Adding a member writes the mark, the note and the member, empties the note and removes the mark.
  it.each([0, 1, 2, 3, 4])(
    'leaves it undone or sees it through, after %i writes',
    async (writes) => {
      const group = await alice.createGroup([bob])
      await alice.call('POST', '/conversations/list-ids', {})
      gundeck.clear()
      db.dieAfter(writes)
      const died = await add(group, carol)
      // What stays behind does no harm, so the last cases are answered.
      expect(died.status).toBe(writes > 2 ? 200 : 503)
      db.heal()
      await clock.advance(30_000)

      const isDone = writes > 1
      expect((await membersOf(group)).has(carol.id)).toBe(isDone)
      expect((await listedBy(carol)).includes(group.id)).toBe(isDone)
      const told = isDone ? ['conversation.member-join'] : []
      expect(gundeck.typesFor(bob)).toEqual(told)
      expect(gundeck.typesFor(carol)).toEqual(told)
      // And the conversation goes on.
      expect((await rename(group, 'Tea')).status).toBe(200)
      expect(gundeck.typesFor(bob)).toEqual([...told, 'conversation.rename'])
    },
  )

  it('completes a group that was being created, once', async () => {
    const others = galley.friends(120)
    galley.brig.connect(alice, ...others)
    // The mark, the note, the conversation, and one of three batches of members.
    db.dieAfter(4)
    const body = { qualified_users: others.map(({ qualified }) => qualified) }
    expect((await alice.call('POST', '/conversations', body)).status).toBe(503)
    db.heal()
    expect(gundeck.typesFor(others[119] as Person)).toEqual([])
    await clock.advance(30_000)
    const [first, last] = [others[0], others[119]] as [Person, Person]
    await vi.waitFor(() => expect(gundeck.typesFor(last)).toHaveLength(1))
    await clock.advance(30_000)
    for (const user of [alice, first, last]) {
      expect(gundeck.typesFor(user)).toEqual(['conversation.create'])
    }
    const id = (await listedBy(last)).find((listed) => listed !== last.id)
    const view = await last.call('GET', pathOf({ id: String(id) }))
    expect(at(view.body, 'members', 'others')).toHaveLength(120)
  })

  it('finishes what is left before the next change, so that the order stays', async () => {
    const group = await alice.createGroup([bob])
    gundeck.clear()
    db.dieAfter(2)
    expect((await rename(group, 'First')).status).toBe(503)
    db.heal()
    expect((await rename(group, 'Second')).status).toBe(200)
    expect(gundeck.inboxOf(bob).map(({ event }) => at(event, 'data', 'name'))).toEqual([
      'First',
      'Second',
    ])
    expect((await alice.call('GET', pathOf(group))).body).toMatchObject({ name: 'Second' })
  })
})

describe('a gundeck that does not answer', () => {
  it('is waited for; then the change is told once, however often it was tried', async () => {
    const group = await alice.createGroup([bob])
    gundeck.clear()
    gundeck.failWhile(() => 'after')
    const renaming = await whileTimePasses(clock, rename(group, 'Tea'))
    expect(renaming.status).toBe(503)
    gundeck.failWhile(undefined)
    await clock.advance(30_000)
    expect(gundeck.typesFor(bob)).toEqual(['conversation.rename'])
    expect(gundeck.calls.at(-1)?.isRepeat).toBe(true)
    expect(gundeck.calls.at(-1)?.firstAttemptAgeMs).toBeGreaterThan(5000)
    // Trying again changes nothing, and says so.
    expect((await rename(group, 'Tea')).status).toBe(204)
  })

  it('does not hold up a change whose event it refuses for good', async () => {
    const group = await alice.createGroup([bob])
    gundeck.clear()
    let isFirst = true
    gundeck.failWhile(() => {
      if (!isFirst) return undefined
      isFirst = false
      throw new TypeError('a defect')
    })
    expect((await rename(group, 'Tea')).status).toBe(500)
    expect((await rename(group, 'Coffee')).status).toBe(200)
    expect((await alice.call('GET', pathOf(group))).body).toMatchObject({ name: 'Coffee' })
  })
})

describe('changes at the same moment', () => {
  it('are told in the order in which they happened', async () => {
    const group = await alice.createGroup([bob])
    gundeck.clear()
    const names = Array.from({ length: 10 }, (_, count) => `Name ${String(count)}`)
    await Promise.all(names.map((name) => rename(group, name)))
    const told = gundeck.inboxOf(bob).map(({ event }) => at(event, 'data', 'name'))
    expect(new Set(told)).toEqual(new Set(names))
    expect((await alice.call('GET', pathOf(group))).body).toMatchObject({ name: told.at(-1) })
  })

  it('let a user join once', async () => {
    const group = await alice.createGroup([bob])
    const statuses = await Promise.all([add(group, carol), add(group, carol), add(group, carol)])
    expect(statuses.map(({ status }) => String(status)).sort()).toEqual(['200', '204', '204'])
    expect(gundeck.typesFor(carol)).toEqual(['conversation.member-join'])
  })

  it('do not bring back who leaves while the role changes', async () => {
    const group = await alice.createGroup([bob])
    const path = pathOf(group, `/members/${domain}/${bob.id}`)
    const [left] = await Promise.all([
      bob.call('DELETE', path),
      alice.call('PUT', path, { conversation_role: 'wire_member' }),
    ])
    expect(left.status).toBe(200)
    expect(await membersOf(group)).toEqual(new Set())
  })
})
