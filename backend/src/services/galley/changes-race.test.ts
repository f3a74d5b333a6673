import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { randomNumbers } from '../../../../test/durability/random.ts'
import { openSqlite } from '../../adapters/sqlite/wide-column.ts'
import { Unavailable, UnknownOutcome } from '../../contract/error.ts'
import type { ConversationId } from '../../contract/ids.ts'
import type { Clock } from '../../platform/clock.ts'
import { fakeClock } from '../../platform/fake-clock.ts'
import { systemIds } from '../../platform/ids.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import type { ChangeLog } from './changes.ts'
import type { PushToInboxes } from './push.ts'
import { memberOf } from './rules/stored-conversation.ts'
import { changeStore } from './store/changes.ts'
import { galleyTables } from './tables.ts'
import {
  actor,
  bob,
  carol,
  changingGalley,
  createRoom,
  dave,
  draftOf,
  expectOneOrder,
  inboxes,
  marksOf,
} from './test-changes.ts'
import { lastWriteWins, lossyNetwork, passTurns, type Fate } from './test-store.ts'

const ids = systemIds()

let base: WideColumnStore
let id: ConversationId
beforeEach(async () => {
  base = await openSqlite({ file: ':memory:' })
  await base.open(galleyTables)
  id = ids.uuid() as ConversationId
})
afterEach(() => base[Symbol.asyncDispose]())

const never = new AbortController().signal

describe('galleys that change one conversation at once', () => {
  /**
   * Three processes with clocks hours apart, each at four changes, whose requests fail, lose their
   * answer or land late; processes freeze, and one dies.
   */
  async function race(seed: number) {
    const random = randomNumbers(seed)
    let nowMs = 0
    const shared = lastWriteWins(base)
    const network = lossyNetwork(random)
    const inbox = inboxes(() => nowMs)
    const clockOf = (offsetMs: number): Clock => ({
      sleep: async () => void (await passTurns(random, 20)),
      nowMs: () => Date.UTC(2026, 0, 1) + offsetMs + nowMs,
      monotonicMs: () => nowMs,
    })

    function processOf(offsetMs: number, operationsLeft: number) {
      let left = operationsLeft
      const death = Promise.withResolvers<'dead'>()
      const fate: Fate = {
        random,
        failing: 0.06,
        async pause() {
          left -= 1
          if (left < 0) {
            death.resolve('dead')
            await new Promise(() => undefined)
          }
          if (random() < 0.1) await network.arriveOne()
          nowMs += 20 * (await passTurns(random, 300))
        },
      }
      const push: PushToInboxes = async (sent, earlier) => {
        for (const { user } of sent.recipients) {
          await passTurns(random, 4)
          if (random() < 0.02) throw new Unavailable('an inbox has no owner')
          inbox.store(user, sent, earlier !== undefined)
        }
        await fate.pause()
        return Object.fromEntries(sent.recipients.map(({ user }) => [user, nowMs]))
      }
      const { log } = changingGalley(network.between(shared, fate), clockOf(offsetMs), push)
      return { log, death: death.promise }
    }

    const healthy = changingGalley(shared, clockOf(0), async (sent, earlier) => {
      for (const { user } of sent.recipients) inbox.store(user, sent, earlier !== undefined)
      return {}
    })
    await createRoom(healthy.log, id)

    const answered: string[] = []
    async function client(name: string, { log, death }: ReturnType<typeof processOf>) {
      for (let count = 0; count < 4; count += 1) {
        let attempt = 0
        const what = (['rename', carol, dave] as const)[Math.floor(random() * 3)] ?? 'rename'
        const nameNow = () => `${name}${String(count)}.${String(attempt)}`
        const work = log.within(id, async ({ room, perform }) => {
          attempt += 1
          if (!room) throw new TypeError('the room is gone')
          await perform(actor, draftOf(room, what, nameNow()))
        })
        const outcome = await Promise.race([
          death,
          work.then(
            () => 'answered',
            (err: unknown) => {
              if (!(err instanceof Unavailable)) throw err
              return 'failed'
            },
          ),
        ])
        if (outcome === 'answered') answered.push(nameNow())
        if (outcome === 'dead') return
      }
    }
    async function worker({ log, death }: ReturnType<typeof processOf>) {
      for (let round = 0; round < 3; round += 1) {
        await passTurns(random, 60)
        const work = log.finishAbandoned(-10 * 3_600_000, never).catch(() => undefined)
        if ((await Promise.race([death, work])) === 'dead') return
      }
    }
    const forEver = Number.POSITIVE_INFINITY
    const [first, second, third] = [
      processOf(0, forEver),
      processOf(-3_600_000, forEver),
      processOf(7_200_000, Math.floor(random() * 150)),
    ]
    await Promise.all([
      client('a', first),
      client('b', second),
      client('c', third),
      worker(first),
      worker(second),
    ])
    await healthy.log.finishAbandoned(-10 * 3_600_000, never)
    await network.arriveAll()
    await healthy.log.finishAbandoned(-10 * 3_600_000, never)
    return { healthy, inbox, answered, shared }
  }

  it.each(Array.from({ length: 60 }, (_, seed) => seed))(
    'tell all members one order, which is what happened (%i)',
    async (seed) => {
      const { healthy, inbox, answered, shared } = await race(seed)
      await expectOneOrder(healthy, inbox, id, answered)
      expect(await marksOf(shared)).toEqual([])
    },
  )
})

describe('a galley that another one overtakes', () => {
  const clock = { ...fakeClock(), sleep: () => Promise.resolve() }
  let shared: WideColumnStore
  let inbox: ReturnType<typeof inboxes>
  let other: ReturnType<typeof changingGalley>
  beforeEach(async () => {
    shared = lastWriteWins(base)
    inbox = inboxes(() => clock.nowMs())
    other = changingGalley(shared, clock, push)
    await createRoom(other.log, id)
  })

  const push: PushToInboxes = async (sent, earlier) => {
    for (const { user } of sent.recipients) inbox.store(user, sent, earlier !== undefined)
    return {}
  }
  const rename = (log: ChangeLog, name: string) =>
    log.within(id, async ({ room, perform }) => {
      if (room) await perform(actor, draftOf(room, 'rename', name))
    })
  /** A galley that falls asleep before it does the first effect. */
  function sleeper(pushOf = push) {
    const asleep = Promise.withResolvers<void>()
    const awake = Promise.withResolvers<void>()
    const store: WideColumnStore = {
      ...shared,
      async batch(operations) {
        asleep.resolve()
        await awake.promise
        await shared.batch(operations)
      },
    }
    return {
      asleep: asleep.promise,
      wake: () => awake.resolve(),
      ...changingGalley(store, clock, pushOf),
    }
  }
  const nameNow = async () => (await other.conversations.find(id))?.conversation.name
  const names = () => inbox.of(bob).map(({ attempt }) => attempt)

  it('begins again with the room as the other one left it', async () => {
    const { log } = changingGalley(shared, clock, push)
    const seen: (string | undefined)[] = []
    await log.within(id, async ({ room, perform }) => {
      seen.push(room?.conversation.name)
      if (seen.length === 1) await rename(other.log, 'theirs')
      if (room) await perform(actor, draftOf(room, 'rename', `mine ${String(seen.length)}`))
    })
    expect(seen).toEqual([undefined, 'theirs'])
    expect(names()).toEqual(['theirs', 'mine 2'])
    expect(await nameNow()).toBe('mine 2')
  })

  it('gives up after some attempts, and asks to try again soon', async () => {
    const { log } = changingGalley(shared, clock, push)
    let attempts = 0
    const work = log.within(id, async ({ room, perform }) => {
      attempts += 1
      await rename(other.log, `theirs ${String(attempts)}`)
      if (room) await perform(actor, draftOf(room, 'rename', 'mine'))
    })
    await expect(work).rejects.toThrow(Unavailable)
    await expect(work).rejects.toMatchObject({ retryAfterSeconds: 1 })
    expect(attempts).toBe(10)
    expect(names()).not.toContain('mine')
    expect(await nameNow()).toBe('theirs 10')
  })

  it('undoes nothing and tells nothing when it wakes up in the middle of its change', async () => {
    const { asleep, wake, log } = sleeper()
    const renaming = rename(log, 'mine')
    await asleep
    await rename(other.log, 'theirs')
    expect(names()).toEqual(['mine', 'theirs'])
    inbox.forget()
    wake()
    await renaming
    expect(await nameNow()).toBe('theirs')
    expect(names()).toEqual(['mine', 'theirs'])
    await rename(log, 'mine again')
    expect(await nameNow()).toBe('mine again')
  })

  it.each(['put out', 'bring back'])('does not %s a member when it wakes up', async (what) => {
    const toggle = (log: ChangeLog) =>
      log.within(id, async ({ room, perform }) => {
        if (room) await perform(actor, draftOf(room, carol, 'in or out'))
      })
    if (what === 'put out') await toggle(other.log)
    const { asleep, wake, log } = sleeper()
    const slow = toggle(log)
    await asleep
    await toggle(other.log)
    wake()
    await slow
    const isIn = what === 'put out'
    const room = await other.conversations.find(id)
    expect(room && memberOf(room, carol) !== undefined).toBe(isIn)
    expect(await other.conversations.listOf(carol, undefined, 10)).toEqual(isIn ? [id] : [])
  })

  it('says of a push so late that it may be a repeat', async () => {
    const flags: boolean[] = []
    const { asleep, wake, log } = sleeper((sent, earlier) => {
      flags.push(earlier !== undefined)
      return push(sent, earlier)
    })
    const slow = rename(log, 'slow')
    await asleep
    await clock.advance(2000)
    wake()
    await slow
    await rename(log, 'fast')
    expect(flags).toEqual([true, false])
  })

  it('cannot begin any more once its mark was cleared away', async () => {
    const marked = Promise.withResolvers<void>()
    const awake = Promise.withResolvers<void>()
    const slow = changingGalley(
      {
        ...shared,
        async put(...given) {
          await shared.put(...given)
          marked.resolve()
          await awake.promise
        },
      },
      clock,
      push,
    )
    let attempts = 0
    const renaming = slow.log.within(id, async ({ room, perform }) => {
      attempts += 1
      if (room) await perform(actor, draftOf(room, 'rename', 'mine'))
    })
    await marked.promise
    await other.log.finishAbandoned(0, never)
    awake.resolve()
    await renaming
    expect(attempts).toBe(2)
    expect(names()).toEqual(['mine'])
    expect(await marksOf(shared)).toEqual([])
  })

  it.each(['done', 'not done'])('learns what became of a beginning that was %s', async (done) => {
    let isFirst = true
    const { log } = changingGalley(
      {
        ...shared,
        async updateIf(...given) {
          if (!isFirst) return shared.updateIf(...given)
          isFirst = false
          if (done === 'done') await shared.updateIf(...given)
          throw new UnknownOutcome('no answer')
        },
      },
      clock,
      push,
    )
    await rename(log, 'mine')
    expect(names()).toEqual(['mine'])
    expect(await nameNow()).toBe('mine')
  })

  it('learns what became of an end', async () => {
    const { number, writtenAtMicros } = await changeStore(shared).lastOf(id)
    const draft = { beganMs: 1, effects: [], announcements: [] }
    const change = {
      ...draft,
      id: ids.uuid(),
      conversation: id,
      number: number + 1,
      writtenAtMicros,
    }
    await changeStore(shared).begin(change, { number, writtenAtMicros })
    const updateIf = vi.fn<WideColumnStore['updateIf']>()
    const changes = changeStore({ ...shared, updateIf })

    updateIf.mockRejectedValueOnce(new UnknownOutcome('no answer'))
    await expect(changes.end(change)).rejects.toThrow(UnknownOutcome)
    expect(await changes.isUnfinished(change)).toBe(true)
    expect(await marksOf(shared)).toHaveLength(1)

    updateIf.mockImplementationOnce(async (...given) => {
      await shared.updateIf(...given)
      throw new UnknownOutcome('no answer')
    })
    await changes.end(change)
    expect(await changes.isUnfinished(change)).toBe(false)
    expect(await marksOf(shared)).toEqual([])
  })

  it('does not follow what is not finished', async () => {
    const changes = changeStore(shared)
    const draft = { beganMs: 1, effects: [], announcements: [] }
    const { number, writtenAtMicros } = await changes.lastOf(id)
    const following = (after: number) => ({
      ...draft,
      id: ids.uuid(),
      conversation: id,
      number: after + 1,
      writtenAtMicros,
    })
    const first = following(number)
    expect(await changes.begin(first, { number, writtenAtMicros })).toBe(true)
    const second = following(first.number)
    expect(await changes.begin(second, first)).toBe(false)
    expect(await changes.isUnfinished(first)).toBe(true)
    await changes.end(first)
    expect(await changes.isUnfinished(first)).toBe(false)
    expect(await changes.begin(second, first)).toBe(true)
    await changes.end(first)
    expect(await changes.isUnfinished(second)).toBe(true)
  })

  it('does not do again what others may have seen through', async () => {
    const { log } = changingGalley(
      {
        ...shared,
        async updateIf(...given) {
          await shared.updateIf(...given)
          await rename(other.log, 'theirs')
          throw new UnknownOutcome('no answer')
        },
      },
      clock,
      push,
    )
    await expect(rename(log, 'mine')).rejects.toThrow(UnknownOutcome)
    expect(names()).toEqual(['mine', 'theirs'])
    expect(await nameNow()).toBe('theirs')
  })
})
