import { expect, it } from 'vitest'
import type { UserId } from '../../contract/ids.ts'
import { countsOf, startCluster } from './testing/test-cluster.ts'
import type { Cluster, Member } from './testing/test-cluster.ts'
import { attach, fetchPage, newUser, pushTo, send } from './testing/test-gundeck.ts'

/** Two galleys whose clocks show the same millisecond, or one that is behind, and one recipient. */

interface Shown {
  readonly text: string
  readonly timeMs: number
}

const ofGalley = (name: string, shown: readonly Shown[]): string[] =>
  shown.map(({ text }) => text).filter((text) => text.startsWith(name))

const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${name}${String(index)}`)

/** A galley sends one after another, each as soon as the one before is answered. */
async function sendAll(
  member: Member,
  user: UserId,
  texts: readonly string[],
  eventTimeMs: number,
): Promise<Shown[]> {
  const answered: Shown[] = []
  for (const text of texts) {
    const timeMs = await send(member, user, pushTo(user, text, { eventTimeMs }))
    answered.push({ text, timeMs: timeMs ?? Number.NaN })
  }
  return answered
}

async function shownTo(member: Member, user: UserId): Promise<Shown[]> {
  const shown: Shown[] = []
  let since: string | undefined
  for (;;) {
    const page = await fetchPage(member, user, since === undefined ? {} : { since })
    for (const { id, payload } of page.notifications) {
      since = id
      for (const { text, time } of payload) {
        shown.push({ text: String(text), timeMs: Date.parse(String(time)) })
      }
    }
    if (!page.has_more) return shown
  }
}

function expectRising(shown: readonly Shown[]): void {
  for (const [index, { timeMs }] of shown.entries()) {
    const before = shown[index - 1]
    if (before) expect(timeMs).toBeGreaterThan(before.timeMs)
  }
}

function bothOf({ members }: Cluster): [Member, Member] {
  const [a, b] = members
  if (!a || !b) throw new Error('two were started')
  return [a, b]
}

it.each([
  ['the same millisecond', 0],
  ['a millisecond earlier', -1],
  ['a second earlier', -1000],
])(
  'keeps the order of each galley, and what it answered, when the other one gives %s',
  async (_, behindMs) => {
    const cluster = await startCluster(['a', 'b'])
    const [a, b] = bothOf(cluster)
    const user = await cluster.userOf(b)
    const { number } = await cluster.during(attach(b, user))
    const nowMs = cluster.clock.nowMs()
    // One comes by way of another gundeck than the owner.
    const answered = await cluster.during(
      Promise.all([
        sendAll(a, user, numbered('one-', 30), nowMs),
        sendAll(b, user, numbered('two-', 30), nowMs + behindMs),
      ]),
    )
    const shown = await shownTo(a, user)
    expect(ofGalley('one-', shown)).toEqual(numbered('one-', 30))
    expect(ofGalley('two-', shown)).toEqual(numbered('two-', 30))
    // The web client drops what is not later than the last that it handled.
    expectRising(shown)
    // The answer, and every device, name the time that was stored.
    for (const { text, timeMs } of answered.flat()) expect(shown).toContainEqual({ text, timeMs })
    // On the socket they come in the order of the inbox.
    await cluster.advance(100)
    const live = b.delivered
      .filter(({ to }) => to.some(([attachment]) => attachment === number))
      .map(({ id }) => id)
    const page = await fetchPage(a, user)
    expect(live).toEqual(page.notifications.map(({ id }) => id))
    await cluster.stop()
  },
)

it('puts what was sent after an answer behind it, though the other galley says it was earlier', async () => {
  const cluster = await startCluster(['a', 'b'])
  const [a, b] = bothOf(cluster)
  const user = newUser()
  const nowMs = cluster.clock.nowMs()
  const order: string[] = []
  for (let round = 0; round < 10; round += 1) {
    for (const [member, name, ms] of [
      [a, 'one', nowMs],
      [b, 'two', nowMs - round * 100],
    ] as const) {
      order.push(`${name}-${String(round)}`)
      await cluster.during(sendAll(member, user, order.slice(-1), ms))
    }
  }
  const shown = await shownTo(a, user)
  expect(shown.map(({ text }) => text)).toEqual(order)
  expectRising(shown)
  await cluster.stop()
})

it('loses and reorders nothing when the inbox changes its owner within that millisecond', async () => {
  const cluster = await startCluster(['a', 'b'])
  const [a, b] = bothOf(cluster)
  const user = await cluster.userOf(b)
  const nowMs = cluster.clock.nowMs()
  await cluster.during(
    Promise.all([
      sendAll(a, user, numbered('one-', 10), nowMs),
      sendAll(b, user, numbered('two-', 10), nowMs),
    ]),
  )
  await cluster.during(b.service.drain())
  expect(countsOf(await cluster.map(b))).toEqual({ a: 64 })
  // The galleys have stood still, or repeat what they began then.
  await cluster.during(
    Promise.all([
      sendAll(a, user, numbered('one-', 20).slice(10), nowMs),
      sendAll(b, user, numbered('two-', 20).slice(10), nowMs),
    ]),
  )
  const shown = await shownTo(a, user)
  expect(ofGalley('one-', shown)).toEqual(numbered('one-', 20))
  expect(ofGalley('two-', shown)).toEqual(numbered('two-', 20))
  expectRising(shown)
  await cluster.stop()
})

it('has one time for a message in every device, and may have another in another inbox', async () => {
  const cluster = await startCluster(['a', 'b'])
  const [a, b] = bothOf(cluster)
  const [ann, ben] = [await cluster.userOf(a), await cluster.userOf(b)]
  const nowMs = cluster.clock.nowMs()
  const toBoth = (text: string) => ({
    ...pushTo(ann, text, { eventTimeMs: nowMs }),
    recipients: [{ user: ann }, { user: ben }],
  })
  const texts = numbered('both-', 20)
  await cluster.during(
    Promise.all(
      texts.map((text, index) =>
        (index % 2 === 0 ? a : b).client.push({ body: { pushes: [toBoth(text)] } }),
      ),
    ),
  )
  for (const user of [ann, ben]) {
    const shown = await shownTo(a, user)
    expect(shown.map(({ text }) => text).toSorted()).toEqual(texts.toSorted())
    expectRising(shown)
    expect(await shownTo(b, user)).toEqual(shown)
  }
  await cluster.stop()
})
