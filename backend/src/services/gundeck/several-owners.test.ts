import { describe, expect, it } from 'vitest'
import { countsOf, startCluster } from './testing/test-cluster.ts'
import { newUser, pushTo, send, textsOf } from './testing/test-gundeck.ts'

describe('the ring', () => {
  it('is spread evenly, and known to all', async () => {
    const cluster = await startCluster(['a', 'b', 'c'])
    const [a, b, c] = cluster.members
    if (!a || !b || !c) throw new Error('three were started')
    const map = await cluster.map(a)
    expect(Object.values(countsOf(map)).toSorted((x, y) => x - y)).toEqual([21, 21, 22])
    expect(await cluster.map(b)).toEqual(map)
    expect(await cluster.map(c)).toEqual(map)
    await cluster.stop()
  })

  it('takes sends at any gundeck', async () => {
    const cluster = await startCluster(['a', 'b'])
    const [first] = cluster.members
    if (!first) throw new Error('two were started')
    const users = Array.from({ length: 8 }, newUser)
    for (const [index, user] of users.entries()) {
      for (const member of cluster.members) {
        await cluster.during(send(member, user, pushTo(user, `${member.name}${String(index)}`)))
      }
    }
    for (const [index, user] of users.entries()) {
      expect(await textsOf(first, user)).toEqual([`a${String(index)}`, `b${String(index)}`])
    }
    await cluster.stop()
  })

  it('gives the inboxes of a killed owner to the others within three seconds', async () => {
    const cluster = await startCluster(['a', 'b', 'c'])
    const [a, b] = cluster.members
    if (!a || !b) throw new Error('three were started')
    const user = await cluster.userOf(b)
    await cluster.during(send(a, user, pushTo(user, 'one')))
    b.freeze()
    await cluster.advance(3000)
    await cluster.during(send(a, user, pushTo(user, 'two')))
    expect(countsOf(await cluster.map(a))).toEqual({ a: 32, c: 32 })
    b.thaw()
    await cluster.advance(100)
    await cluster.during(send(b, user, pushTo(user, 'three')))
    expect(await textsOf(a, user)).toEqual(['one', 'two', 'three'])
    await cluster.advance(20_000)
    expect(Object.values(countsOf(await cluster.map(b))).toSorted((x, y) => x - y)).toEqual([
      21, 21, 22,
    ])
    await cluster.stop()
  })
})
