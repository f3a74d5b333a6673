import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { ClientId, ConnectionId, UserId } from '../contract/ids.ts'
import type { Presence, PresenceStore } from './presence.ts'

const presence = (changes: Partial<Presence> = {}): Presence => ({
  user: randomUUID() as UserId,
  connection: 'c1' as ConnectionId,
  instance: 'cannon-1',
  sinceMs: 1_760_000_000_000,
  ...changes,
})

/**
 * What every presence store does. `pass` lets seconds go by for the store's clock; without it the
 * suite really waits.
 */
export function presenceContract(
  open: () => Promise<PresenceStore>,
  pass: (seconds: number) => Promise<void> | void = (seconds) => sleep(seconds * 1000),
): void {
  describe('a presence store', () => {
    it('lists the presences of the users asked for, and no others', async () => {
      await using store = await open()
      const ann = presence({ client: 'abc' as ClientId })
      const other = presence({ ...ann, connection: 'c2' as ConnectionId, instance: 'cannon-2' })
      const bob = presence()
      for (const each of [ann, other, bob]) await store.add(each, 100)
      const byConnection = (a: Presence, b: Presence) => a.connection.localeCompare(b.connection)
      expect((await store.list([ann.user])).toSorted(byConnection)).toEqual([ann, other])
      expect(await store.list([randomUUID() as UserId, bob.user])).toEqual([bob])
      expect(await store.list([])).toEqual([])
    })

    it('forgets a presence after its time unless it was added again', async () => {
      await using store = await open()
      const [kept, gone] = [presence(), presence()]
      await store.add(gone, 2)
      await store.add(kept, 2)
      await store.add(kept, 100)
      await pass(3)
      expect(await store.list([kept.user, gone.user])).toEqual([kept])
    })

    it('counts the time of each connection alone, whatever the order', async () => {
      await using store = await open()
      const short = presence({ connection: 'short' as ConnectionId })
      const long = { ...short, connection: 'long' as ConnectionId }
      const shortened = { ...short, connection: 'shortened' as ConnectionId }
      await store.add(long, 100)
      await store.add(short, 2)
      await store.add(shortened, 100)
      await store.add(shortened, 2)
      await pass(3)
      expect(await store.list([short.user])).toEqual([long])
    })

    it('lists many users at once', async () => {
      await using store = await open()
      const many = Array.from({ length: 250 }, () => presence())
      await Promise.all(many.map((one) => store.add(one, 100)))
      const absent = Array.from({ length: 50 }, () => randomUUID() as UserId)
      const listed = await store.list([...absent, ...many.map(({ user }) => user)])
      expect(new Set(listed.map(({ user }) => user))).toEqual(new Set(many.map(({ user }) => user)))
      expect(listed).toHaveLength(many.length)
    })

    it('keeps what another instance added since, when the one before takes its own back', async () => {
      await using store = await open()
      const before = presence()
      const since = { ...before, instance: 'cannon-2' }
      await store.add(before, 100)
      await store.add(since, 100)
      await store.remove(before.user, before.connection, before.instance)
      expect(await store.list([since.user])).toEqual([since])
    })

    it('replaces the presence of a connection', async () => {
      await using store = await open()
      const first = presence()
      const second = { ...first, instance: 'cannon-2', sinceMs: first.sinceMs + 5 }
      await store.add(first, 100)
      await store.add(second, 100)
      expect(await store.list([first.user])).toEqual([second])
    })

    it('removes only what the same instance added', async () => {
      await using store = await open()
      const { user, connection, instance, ...rest } = presence()
      const mine = { user, connection, instance, ...rest }
      await store.add(mine, 100)
      await store.remove(user, connection, 'cannon-2')
      expect(await store.list([user])).toEqual([mine])
      await store.remove(user, connection, instance)
      expect(await store.list([user])).toEqual([])
      await store.remove(user, connection, instance)
    })
  })
}
