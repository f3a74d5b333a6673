import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  MalformedPage,
  put,
  putIfAbsent,
  remove,
  removeIf,
  removeRange,
  table,
  update,
  updateIf,
} from './wide-column.ts'
import type { Page, WideColumnStore } from './wide-column.ts'

const devices = table({
  name: 'contract_devices',
  partition: { user: 'uuid' },
  cluster: { device: 'text' },
  columns: { label: 'text', model: 'text?' },
})
const messages = table({
  name: 'contract_messages',
  partition: { user: 'uuid', bucket: 'bigint' },
  cluster: { id: 'timeuuid' },
  columns: { payload: 'blob' },
  shape: 'queue',
})
const handles = table({
  name: 'contract_handles',
  partition: { handle: 'text' },
  cluster: {},
  columns: { user: 'uuid', note: 'text?' },
  writes: 'conditional',
})
const shards = table({
  name: 'contract_shards',
  partition: { ring: 'uuid' },
  cluster: { shard: 'int' },
  columns: { owner: 'text', epoch: 'bigint', comment: 'text?' },
  writes: 'conditional',
})
const leases = table({
  name: 'contract_leases',
  partition: { lease: 'uuid' },
  cluster: { part: 'text' },
  columns: { holder: 'text?', until: 'timestamp?' },
  writes: 'conditional',
})
const values = table({
  name: 'contract_values',
  partition: { id: 'uuid' },
  cluster: {},
  columns: {
    text: 'text?',
    uuid: 'uuid?',
    timeuuid: 'timeuuid?',
    int: 'int?',
    bigint: 'bigint?',
    boolean: 'boolean?',
    blob: 'blob?',
    timestamp: 'timestamp?',
  },
})
const places = table({
  name: 'contract_places',
  partition: { map: 'uuid' },
  cluster: { domain: 'text', user: 'uuid', seat: 'int' },
  columns: {},
})
const stamps = table({
  name: 'contract_stamps',
  partition: { id: 'uuid' },
  cluster: { atMs: 'timestamp', number: 'bigint' },
  columns: { kind: 'text' },
})

const numbers = table({
  name: 'contract_numbers',
  partition: { number: 'int' },
  cluster: {},
  columns: { name: 'text' },
})

const tables = [devices, messages, handles, shards, leases, values, places, stamps, numbers]

/**
 * What every wide-column store must do. Tests share tables with whatever ran before on the same
 * store, so each makes its own partitions.
 *
 * `pass` lets a number of seconds go by for the store's clock; without it the suite really waits.
 */
export function wideColumnContract(
  openStore: () => Promise<WideColumnStore>,
  pass: (seconds: number) => Promise<void> | void = (seconds) => sleep(seconds * 1000),
): void {
  async function open(): Promise<WideColumnStore> {
    const store = await openStore()
    await store.open(tables)
    return store
  }

  describe('rows', () => {
    it('are read as they were written', async () => {
      await using store = await open()
      const row = { user: randomUUID(), device: 'd1', label: 'phone', model: 'x' }
      await store.put(devices, row)
      expect(await store.get(devices, { user: row.user, device: 'd1' })).toEqual(row)
      expect(
        await store.get(devices, { user: row.user, device: 'd1' }, { isSerial: true }),
      ).toEqual(row)
    })

    it('are absent until written and after removal', async () => {
      await using store = await open()
      const key = { user: randomUUID(), device: 'd1' }
      expect(await store.get(devices, key)).toBeUndefined()
      await store.put(devices, { ...key, label: 'phone' })
      await store.remove(devices, key)
      expect(await store.get(devices, key)).toBeUndefined()
      await store.remove(devices, key)
    })

    it('are replaced whole by a put', async () => {
      await using store = await open()
      const key = { user: randomUUID(), device: 'd1' }
      await store.put(devices, { ...key, label: 'phone', model: 'x' })
      await store.put(devices, { ...key, label: 'laptop' })
      expect(await store.get(devices, key)).toEqual({ ...key, label: 'laptop' })
    })

    it('are the same row whatever the case of a uuid in the key', async () => {
      await using store = await open()
      const key = { user: randomUUID(), device: 'd1' }
      await store.put(devices, { ...key, user: key.user.toUpperCase(), label: 'phone' })
      expect(await store.get(devices, key)).toEqual({ ...key, label: 'phone' })
    })

    it('may have no columns besides their key', async () => {
      await using store = await open()
      const place = { map: randomUUID(), domain: 'a.example', user: randomUUID(), seat: 1 }
      await store.put(places, place)
      expect(await store.get(places, place)).toEqual(place)
    })
  })

  describe('values', () => {
    const examples = {
      text: ['', 'a\0b', "it's", 'Ωmega 🦊', 'x'.repeat(100_000)],
      uuid: [randomUUID(), 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
      timeuuid: [timeuuid(0), timeuuid(1_760_000_000_000)],
      int: [0, -1, 2_147_483_647, -2_147_483_648],
      bigint: [0n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n],
      boolean: [true, false],
      blob: [new Uint8Array(0), Uint8Array.of(0, 255, 0), new Uint8Array(randomBytes(300_000))],
      timestamp: [0, -1, 1_760_000_000_123, 8_640_000_000_000_000],
    }
    for (const [type, list] of Object.entries(examples)) {
      it(`of type ${type} come back exactly`, async () => {
        await using store = await open()
        for (const value of list) {
          const row = { id: randomUUID(), [type]: value }
          await store.put(values, row)
          const read = await store.get(values, { id: row.id })
          expect(Object.keys(read ?? {}).toSorted()).toEqual(['id', type].toSorted())
          const found = Object.entries(read ?? {}).find(([name]) => name === type)?.[1]
          if (value instanceof Uint8Array) {
            expect(found).toBeInstanceOf(Uint8Array)
            expect(Buffer.from(found as Uint8Array).equals(value)).toBe(true)
          } else {
            expect(found).toBe(value)
          }
        }
      })
    }

    it('are refused when they do not fit the column', async () => {
      await using store = await open()
      const id = randomUUID()
      const misfits = [
        { uuid: 'not-a-uuid' },
        { timeuuid: randomUUID() },
        { int: 2 ** 31 },
        { int: 0.5 },
        { bigint: 2n ** 63n },
        { timestamp: Number.NaN },
      ]
      for (const misfit of misfits) {
        await expect(store.put(values, { id, ...misfit })).rejects.toThrow(TypeError)
      }
      expect(await store.get(values, { id })).toBeUndefined()
    })

    it('may be changed by the caller once the write was asked for', async () => {
      await using store = await open()
      const id = randomUUID()
      const blob = Uint8Array.of(1, 2, 3)
      const written = store.put(values, { id, blob })
      blob.fill(9)
      await written
      expect((await store.get(values, { id }))?.blob).toEqual(Uint8Array.of(1, 2, 3))
    })
  })

  describe('update', () => {
    it('changes the columns it names and removes those that are undefined', async () => {
      await using store = await open()
      const key = { user: randomUUID(), device: 'd1' }
      await store.put(devices, { ...key, label: 'phone', model: 'x' })
      await store.update(devices, key, { label: 'laptop' })
      expect(await store.get(devices, key)).toEqual({ ...key, label: 'laptop', model: 'x' })
      await store.update(devices, key, { model: undefined })
      expect(await store.get(devices, key)).toEqual({ ...key, label: 'laptop' })
    })

    it('makes the row when it is absent', async () => {
      await using store = await open()
      const key = { user: randomUUID(), device: 'd1' }
      await store.update(devices, key, { label: 'phone' })
      expect(await store.get(devices, key)).toEqual({ ...key, label: 'phone' })
    })

    it('does not bring half a row back after its removal', async () => {
      await using store = await open()
      const key = { user: randomUUID(), device: 'd1' }
      await store.put(devices, { ...key, label: 'phone' })
      await store.remove(devices, key)
      await store.update(devices, key, { model: 'x' })
      expect(await store.get(devices, key)).toBeUndefined()
      expect((await store.list(devices, { user: key.user })).rows).toEqual([])
    })

    it('refuses to remove a required column, and columns that are not declared', async () => {
      await using store = await open()
      const key = { user: randomUUID(), device: 'd1' }
      await expect(store.update(devices, key, { label: undefined })).rejects.toThrow(TypeError)
      const misspelt: object = { lable: 'phone' }
      await expect(store.update(devices, key, misspelt)).rejects.toThrow(TypeError)
    })
  })

  describe('list', () => {
    const days = ['01', '02', '03', '04', '05'] as const

    async function fiveDevices(store: WideColumnStore): Promise<string> {
      const user = randomUUID()
      for (const device of ['03', '01', '05', '02', '04']) {
        await store.put(devices, { user, device, label: `nr ${device}` })
      }
      return user
    }
    const names = (page: Page<{ device: string }>): string[] =>
      page.rows.map(({ device }) => device)

    it('gives the rows of one partition in the order of their keys', async () => {
      await using store = await open()
      const user = await fiveDevices(store)
      await fiveDevices(store)
      const page = await store.list(devices, { user })
      expect(names(page)).toEqual(days)
      expect(page.next).toBeUndefined()
      expect(page.rows[0]).toEqual({ user, device: '01', label: 'nr 01' })
      const backwards = await store.list(devices, { user }, { order: 'descending' })
      expect(names(backwards)).toEqual(days.toReversed())
    })

    it('gives nothing for a partition without rows', async () => {
      await using store = await open()
      expect(await store.list(devices, { user: randomUUID() })).toEqual({ rows: [] })
    })

    it('keeps to bounds, with and without the bound itself', async () => {
      await using store = await open()
      const user = await fiveDevices(store)
      const list = async (range: object) => names(await store.list(devices, { user }, range))
      expect(await list({ after: '02' })).toEqual(['03', '04', '05'])
      expect(await list({ from: '02' })).toEqual(['02', '03', '04', '05'])
      expect(await list({ to: '02' })).toEqual(['01', '02'])
      expect(await list({ before: '02' })).toEqual(['01'])
      expect(await list({ after: '01', before: '04', order: 'descending' })).toEqual(['03', '02'])
      expect(await list({ from: '025' })).toEqual(['03', '04', '05'])
    })

    it('pages through a partition in both orders without loss or repetition', async () => {
      await using store = await open()
      const user = await fiveDevices(store)
      for (const order of ['ascending', 'descending'] as const) {
        for (const limit of [1, 2, 5]) {
          const seen: string[] = []
          let page: string | undefined
          do {
            const found = await store.list(devices, { user }, { order, limit, page })
            expect(found.rows.length).toBeLessThanOrEqual(limit)
            seen.push(...names(found))
            page = found.next
          } while (page !== undefined)
          expect(seen).toEqual(order === 'ascending' ? days : days.toReversed())
        }
      }
    })

    it('continues where the page ended, whatever was written or removed in between', async () => {
      await using store = await open()
      const user = await fiveDevices(store)
      const first = await store.list(devices, { user }, { limit: 2, to: '04' })
      await store.remove(devices, { user, device: '02' })
      await store.put(devices, { user, device: '015', label: 'behind' })
      await store.put(devices, { user, device: '035', label: 'ahead' })
      const second = await store.list(devices, { user }, { limit: 9, to: '04', page: first.next })
      expect(names(second)).toEqual(['03', '035', '04'])
      expect(second.next).toBeUndefined()
    })

    it('takes a prefix of the clustering keys, and bounds and pages below it', async () => {
      await using store = await open()
      const map = randomUUID()
      const [ann, bob] = [randomUUID(), randomUUID()].toSorted() as [string, string]
      for (const domain of ['a.example', 'b.example']) {
        for (const user of [ann, bob]) {
          for (const seat of [10, 9, -1]) await store.put(places, { map, domain, user, seat })
        }
      }
      const all = (await store.list(places, { map })).rows
      expect(all.map(({ seat }) => seat)).toEqual([-1, 9, 10, -1, 9, 10, -1, 9, 10, -1, 9, 10])
      expect(all.map(({ user }) => user).slice(0, 6)).toEqual([ann, ann, ann, bob, bob, bob])

      const prefix = { domain: 'b.example', user: ann }
      const below = await store.list(places, { map }, { prefix, from: 9 })
      expect(below.rows.map(({ seat }) => seat)).toEqual([9, 10])
      const users = await store.list(
        places,
        { map },
        { prefix: { domain: 'a.example' }, after: ann },
      )
      expect(users.rows.map(({ user }) => user)).toEqual([bob, bob, bob])

      const seen = []
      let page: string | undefined
      do {
        const found = await store.list(places, { map }, { limit: 5, page })
        seen.push(...found.rows)
        page = found.next
      } while (page !== undefined)
      expect(seen).toEqual(all)
    })

    it('refuses a prefix that leaves out a key, and a page token that is not one', async () => {
      await using store = await open()
      const map = randomUUID()
      const gap = { prefix: { seat: 1 } }
      await expect(store.list(places, { map }, gap)).rejects.toThrow(TypeError)
      for (const page of ['', 'x', 'W10', '!!', 'bnVsbA', 'A'.repeat(5000)]) {
        await expect(store.list(places, { map }, { page })).rejects.toThrow(MalformedPage)
      }
    })

    it('refuses the page token of another query', async () => {
      await using store = await open()
      const user = await fiveDevices(store)
      const other = await fiveDevices(store)
      const first = await store.list(devices, { user }, { limit: 2, from: '01' })
      const page = first.next
      const strange = [
        store.list(devices, { user: other }, { from: '01', page }),
        store.list(devices, { user }, { page }),
        store.list(devices, { user }, { from: '01', order: 'descending', page }),
        store.scan(devices, { page }),
      ]
      for (const list of strange) await expect(list).rejects.toThrow(MalformedPage)
      const again = await store.list(devices, { user }, { limit: 3, from: '01', page })
      expect(names(again)).toEqual(['03', '04', '05'])
    })

    it('fills its pages, whatever lies between the rows', async () => {
      await using store = await open()
      const user = randomUUID()
      for (let index = 0; index < 60; index += 1) {
        const device = `${index}`.padStart(2, '0')
        // Two of three do not exist for readers: they have a model but no label.
        if (index % 3 === 0) await store.put(devices, { user, device, label: 'x' })
        else await store.update(devices, { user, device }, { model: 'x' })
      }
      const first = await store.list(devices, { user }, { limit: 15 })
      expect(names(first)).toHaveLength(15)
      const second = await store.list(devices, { user }, { limit: 15, page: first.next })
      expect(names(second)).toEqual(['45', '48', '51', '54', '57'])
      expect(second.next).toBeUndefined()
    })

    it('sorts numbers by value, texts by code point and time ids by time', async () => {
      await using store = await open()
      const id = randomUUID()
      for (const [atMs, number] of [
        [10, 1n],
        [9, -(2n ** 62n)],
        [9, 2n ** 62n],
        [-5, 3n],
        [9, 0n],
      ] as const) {
        await store.put(stamps, { id, atMs, number, kind: 'k' })
      }
      const found = (await store.list(stamps, { id })).rows
      expect(found.map((row) => [row.atMs, row.number])).toEqual([
        [-5, 3n],
        [9, -(2n ** 62n)],
        [9, 0n],
        [9, 2n ** 62n],
        [10, 1n],
      ])

      const user = randomUUID()
      const texts = ['', 'A', 'Z', 'a', 'é', '\uffee', '🦊']
      for (const device of texts.slice(1).toReversed()) {
        await store.put(devices, { user, device, label: 'x' })
      }
      expect(names(await store.list(devices, { user }))).toEqual(texts.slice(1))

      // Their text order is another: the low bits of the time come first.
      const times = [1, 4_294, 429_497, 429_498, 1_760_000_000_000, 1_760_000_000_001]
      const ids = times.map((ms) => timeuuid(ms))
      const queue = { user, bucket: 7n }
      for (const messageId of ids.toReversed()) {
        await store.put(messages, { ...queue, id: messageId, payload: Uint8Array.of(1) })
      }
      const inOrder = await store.list(messages, queue)
      expect(inOrder.rows.map((row) => row.id)).toEqual(ids)
      const later = await store.list(messages, queue, { after: ids[3] ?? '', limit: 1 })
      expect(later.rows.map((row) => row.id)).toEqual([ids[4]])
    })
  })

  describe('listEach', () => {
    it('gives the rows of each partition, in the order in which they were named', async () => {
      await using store = await open()
      const users = await Promise.all(
        Array.from({ length: 70 }, async (_, index) => {
          const user = randomUUID()
          const operations = ['03', '01', '02']
            .slice(0, index % 4)
            .map((device) => put(devices, { user, device, label: `${index}` }))
          await store.batch(operations)
          return user
        }),
      )
      const [second = ''] = users.slice(2)
      const asked = [...users.toReversed(), users[66] ?? '', second.toUpperCase(), randomUUID()]
      const lists = await store.listEach(
        devices,
        asked.map((user) => ({ user })),
      )
      const given = lists.map((rows) => rows.map(({ label, device }) => [label, device]))
      const of = (index: number) =>
        ['03', '01', '02']
          .slice(0, index % 4)
          .toSorted()
          .map((device) => [`${index}`, device])
      const all = users.map((_, index) => of(index)).toReversed()
      expect(given).toEqual([...all, of(66), of(2), []])
      expect(await store.listEach(devices, [])).toEqual([])
    })

    it('passes over what is no row, and refuses what is not small or has a longer key', async () => {
      await using store = await open()
      const [user, large] = [randomUUID(), randomUUID()]
      await store.update(devices, { user, device: '01' }, { model: 'x' })
      expect(await store.listEach(devices, [{ user }])).toEqual([[]])
      for (let at = 0; at <= 1000; at += 91) {
        const some = Array.from({ length: 91 }, (_, index) => `${at + index}`)
        await store.batch(some.map((device) => put(devices, { user: large, device, label: '' })))
      }
      await expect(store.listEach(devices, [{ user }, { user: large }])).rejects.toThrow(RangeError)
      await expect(store.listEach(messages, [{ user, bucket: 0n }])).rejects.toThrow(TypeError)
    })
  })

  describe('scan', () => {
    it('meets every row of the table once, page by page', async () => {
      await using store = await open()
      const users = [randomUUID(), randomUUID(), randomUUID()]
      const written = users.flatMap((user) => ['a', 'b'].map((device) => `${user} ${device}`))
      for (const user of users) {
        for (const device of ['a', 'b']) await store.put(devices, { user, device, label: 'x' })
      }
      const seen: string[] = []
      let page: string | undefined
      do {
        const found = await store.scan(devices, { limit: 3, page })
        seen.push(...found.rows.map(({ user, device }) => `${user} ${device}`))
        page = found.next
      } while (page !== undefined)
      expect(seen).toEqual([...new Set(seen)])
      expect(seen).toEqual(expect.arrayContaining(written))
      await expect(store.scan(devices, { page: 'x' })).rejects.toThrow(MalformedPage)

      for (const number of [-7, 0, 7]) await store.put(numbers, { number, name: 'n' })
      const found = await store.scan(numbers, { limit: 1000 })
      expect(new Set(found.rows.map(({ number }) => number))).toEqual(new Set([-7, 0, 7]))
      expect(found.rows).toHaveLength(3)
    })
  })

  describe('a queue', () => {
    it('takes appended rows again, and changes of rows not at all', async () => {
      await using store = await open()
      const queue = { user: randomUUID(), bucket: 1n }
      const row = { ...queue, id: timeuuid(1), payload: Uint8Array.of(1) }
      await store.put(messages, row)
      await store.put(messages, row)
      expect((await store.list(messages, queue)).rows).toHaveLength(1)
      const change = store.update(messages, row, { payload: Uint8Array.of(2) })
      await expect(change).rejects.toThrow(TypeError)
    })
  })

  describe('write timestamps', () => {
    it('of a removal cover what is as old or older', async () => {
      await using store = await open()
      const queue = { user: randomUUID(), bucket: 1n }
      const ids = [1, 2, 3].map((ms) => timeuuid(ms))
      const payload = Uint8Array.of(1)
      const at = (ms: number) => ({ writtenAtMicros: BigInt(ms) * 1000n })
      await store.batch(
        ids.map((id, index) => put(messages, { ...queue, id, payload }, at(index + 1))),
      )
      await store.removeRange(messages, queue, { to: ids[1] ?? '' }, at(2))
      expect((await store.list(messages, queue)).rows.map(({ id }) => id)).toEqual([ids[2]])
    })
  })

  describe('removeRange', () => {
    it('removes what lies within and nothing else', async () => {
      await using store = await open()
      const user = randomUUID()
      const queue = { user, bucket: 1n }
      const ids = [1, 2, 3, 4, 5].map((ms) => timeuuid(ms))
      const payload = Uint8Array.of(1)
      for (const id of ids) await store.put(messages, { ...queue, id, payload })
      await store.put(messages, { user, bucket: 2n, id: timeuuid(2), payload })
      await store.removeRange(messages, queue, { to: ids[1] ?? '' })
      const left = await store.list(messages, queue)
      expect(left.rows.map(({ id }) => id)).toEqual(ids.slice(2))
      await store.removeRange(messages, queue)
      expect((await store.list(messages, queue)).rows).toEqual([])
      expect((await store.list(messages, { user, bucket: 2n })).rows).toHaveLength(1)
    })
  })

  describe('batch', () => {
    it('writes to several tables at once', async () => {
      await using store = await open()
      const user = randomUUID()
      const map = randomUUID()
      await store.put(devices, { user, device: 'old', label: 'x' })
      await store.put(places, { map, domain: 'a.example', user, seat: 1 })
      await store.batch([
        put(devices, { user, device: 'new', label: 'y' }),
        update(devices, { user, device: 'made' }, { label: 'z' }),
        remove(devices, { user, device: 'old' }),
        removeRange(places, { map }),
      ])
      const found = await store.list(devices, { user })
      expect(found.rows.map(({ device }) => device)).toEqual(['made', 'new'])
      expect((await store.list(places, { map })).rows).toEqual([])
      await store.batch([])
    })

    it('writes nothing when one of its operations is wrong', async () => {
      await using store = await open()
      const user = randomUUID()
      const wrong = store.batch([
        put(devices, { user, device: 'a', label: 'y' }),
        put(values, { id: randomUUID(), int: 0.5 }),
      ])
      await expect(wrong).rejects.toThrow(TypeError)
      expect((await store.list(devices, { user })).rows).toEqual([])
    })
  })

  describe('conditional writes', () => {
    it('keep the first row when writers race to create it', async () => {
      await using store = await open()
      const handle = `h-${randomUUID()}`
      const users = Array.from({ length: 20 }, () => randomUUID())
      const wins = await Promise.all(
        users.map((user) => store.putIfAbsent(handles, { handle, user })),
      )
      expect(wins.filter(Boolean)).toHaveLength(1)
      expect((await store.get(handles, { handle }, { isSerial: true }))?.user).toBe(
        users[wins.indexOf(true)],
      )
    })

    it('change a row only while it holds what is expected', async () => {
      await using store = await open()
      const key = { ring: randomUUID(), shard: 1 }
      await store.putIfAbsent(shards, { ...key, owner: 'a', epoch: 1n })
      const was = { owner: 'a', epoch: 1n }
      expect(await store.updateIf(shards, key, was, { owner: 'b', epoch: 2n })).toBe(true)
      expect(await store.updateIf(shards, key, was, { owner: 'c', epoch: 2n })).toBe(false)
      expect(await store.get(shards, key)).toEqual({ ...key, owner: 'b', epoch: 2n })
      const unset = { comment: undefined }
      expect(await store.updateIf(shards, key, unset, { comment: 'first' })).toBe(true)
      expect(await store.updateIf(shards, key, unset, { comment: 'second' })).toBe(false)
      expect(await store.updateIf(shards, key, { comment: 'first' }, unset)).toBe(true)
      expect(await store.get(shards, key)).toEqual({ ...key, owner: 'b', epoch: 2n })
    })

    it('find nothing to change or remove where no row is', async () => {
      await using store = await open()
      const key = { ring: randomUUID(), shard: 1 }
      expect(await store.updateIf(shards, key, {}, { owner: 'b' })).toBe(false)
      expect(await store.updateIf(shards, key, { comment: undefined }, { owner: 'b' })).toBe(false)
      expect(await store.removeIf(shards, key, {})).toBe(false)
      expect(await store.get(shards, key)).toBeUndefined()
    })

    it('know a row that has no values from one that does not exist', async () => {
      await using store = await open()
      const key = { lease: randomUUID(), part: 'p' }
      const unheld = { holder: undefined }
      expect(await store.updateIf(leases, key, unheld, { holder: 'a' })).toBe(false)
      expect(await store.putIfAbsent(leases, key)).toBe(true)
      expect(await store.putIfAbsent(leases, key)).toBe(false)
      expect(await store.get(leases, key)).toEqual(key)
      expect(await store.updateIf(leases, key, unheld, { holder: 'a' })).toBe(true)
      expect(await store.updateIf(leases, key, { holder: 'a' }, unheld)).toBe(true)
      expect((await store.list(leases, { lease: key.lease })).rows).toEqual([key])
      expect(await store.batchIf([updateIf(leases, key, unheld, {})])).toBe(true)
      expect(await store.removeIf(leases, key, { holder: 'a' })).toBe(false)
      expect(await store.removeIf(leases, key, unheld)).toBe(true)
      expect(await store.get(leases, key)).toBeUndefined()
    })

    it('remove a row only while it holds what is expected, and let it be made again', async () => {
      await using store = await open()
      const handle = `h-${randomUUID()}`
      const [first, second] = [randomUUID(), randomUUID()]
      await store.putIfAbsent(handles, { handle, user: first, note: 'old' })
      expect(await store.removeIf(handles, { handle }, { user: second })).toBe(false)
      expect(await store.removeIf(handles, { handle }, { user: first })).toBe(true)
      expect(await store.putIfAbsent(handles, { handle, user: second })).toBe(true)
      expect(await store.get(handles, { handle })).toEqual({ handle, user: second })
    })

    it('of one partition go together or not at all', async () => {
      await using store = await open()
      const ring = randomUUID()
      const one = { ring, shard: 1 }
      const two = { ring, shard: 2 }
      await store.putIfAbsent(shards, { ...one, owner: 'a', epoch: 1n })
      await store.putIfAbsent(shards, { ...two, owner: 'a', epoch: 1n })
      const move = (epoch: bigint) =>
        store.batchIf([
          updateIf(shards, one, { epoch: 1n }, { owner: 'b', epoch: 2n }),
          updateIf(shards, two, { epoch }, {}),
          putIfAbsent(shards, { ring, shard: 3, owner: 'b', epoch: 1n }),
        ])
      expect(await move(9n)).toBe(false)
      expect((await store.list(shards, { ring })).rows.map(({ owner }) => owner)).toEqual([
        'a',
        'a',
      ])
      expect(await move(1n)).toBe(true)
      const owners = async (isSerial: boolean) =>
        (await store.list(shards, { ring }, { isSerial })).rows.map(({ owner }) => owner)
      expect(await owners(false)).toEqual(['b', 'a', 'b'])
      expect(await owners(true)).toEqual(['b', 'a', 'b'])
      expect(await move(1n)).toBe(false)
      expect(
        await store.batchIf([
          removeIf(shards, one, { owner: 'b' }),
          removeIf(shards, two, { owner: 'a' }),
        ]),
      ).toBe(true)
      expect((await store.list(shards, { ring })).rows.map(({ shard }) => shard)).toEqual([3])
    })

    it('of several partitions, or twice of one row, are refused', async () => {
      await using store = await open()
      const ring = randomUUID()
      const row = { shard: 1, owner: 'a', epoch: 1n }
      await expect(
        store.batchIf([
          putIfAbsent(shards, { ...row, ring }),
          putIfAbsent(shards, { ...row, ring: randomUUID() }),
        ]),
      ).rejects.toThrow(TypeError)
      await expect(
        store.batchIf([
          putIfAbsent(shards, { ...row, ring }),
          putIfAbsent(shards, { ...row, ring }),
        ]),
      ).rejects.toThrow(TypeError)
      expect((await store.list(shards, { ring })).rows).toEqual([])
    })

    it('keep away from tables with plain writes, and plain ones from theirs', async () => {
      await using store = await open()
      const handle = `h-${randomUUID()}`
      const user = randomUUID()
      await expect(store.put(handles, { handle, user })).rejects.toThrow(TypeError)
      await expect(store.remove(handles, { handle })).rejects.toThrow(TypeError)
      const device = { user, device: 'd', label: 'x' }
      await expect(store.putIfAbsent(devices, device)).rejects.toThrow(TypeError)
    })
  })

  describe('a TTL', () => {
    it('makes the whole row vanish, for every kind of read', async () => {
      await using store = await open()
      const user = randomUUID()
      await store.put(devices, { user, device: 'short', label: 'x' }, { ttlSeconds: 2 })
      await store.put(devices, { user, device: 'long', label: 'x' }, { ttlSeconds: 1000 })
      expect((await store.list(devices, { user })).rows).toHaveLength(2)
      await pass(3)
      expect(await store.get(devices, { user, device: 'short' })).toBeUndefined()
      expect((await store.list(devices, { user })).rows.map(({ device }) => device)).toEqual([
        'long',
      ])
      const scanned = await store.scan(devices, { limit: 100_000 })
      expect(scanned.rows.filter((row) => row.user === user)).toHaveLength(1)
    })

    it('ends with a put that has none', async () => {
      await using store = await open()
      const key = { user: randomUUID(), device: 'd' }
      await store.put(devices, { ...key, label: 'x' }, { ttlSeconds: 2 })
      await store.put(devices, { ...key, label: 'y' })
      await pass(3)
      expect(await store.get(devices, key)).toEqual({ ...key, label: 'y' })
    })

    it('lets an absent row be made again, without what the old one held', async () => {
      await using store = await open()
      const handle = `h-${randomUUID()}`
      const [first, second] = [randomUUID(), randomUUID()]
      const user = randomUUID()
      await store.putIfAbsent(handles, { handle, user: first, note: 'n' }, { ttlSeconds: 2 })
      await store.put(devices, { user, device: 'd', label: 'x', model: 'm' }, { ttlSeconds: 2 })
      expect(await store.putIfAbsent(handles, { handle, user: second })).toBe(false)
      await pass(3)
      expect(await store.updateIf(handles, { handle }, { user: first }, { note: 'z' })).toBe(false)
      expect(await store.removeIf(handles, { handle }, {})).toBe(false)
      expect(await store.putIfAbsent(handles, { handle, user: second })).toBe(true)
      expect(await store.get(handles, { handle })).toEqual({ handle, user: second })
      await store.update(devices, { user, device: 'd' }, { label: 'y' })
      expect(await store.get(devices, { user, device: 'd' })).toEqual({
        user,
        device: 'd',
        label: 'y',
      })
    })

    it('is given again with an update, and never to a part of a row', async () => {
      await using store = await open()
      const handle = `h-${randomUUID()}`
      const user = randomUUID()
      await store.putIfAbsent(handles, { handle, user }, { ttlSeconds: 100 })
      const ttl = { ttlSeconds: 99 }
      const note = { note: 'n' }
      expect(await store.updateIf(handles, { handle }, { user }, note, ttl)).toBe(true)
      expect((await store.get(handles, { handle }))?.note).toBe('n')
    })
  })

  it('refuses tables that were not opened', async () => {
    await using store = await openStore()
    const unknown = table({
      name: 'contract_never_opened',
      partition: { id: 'uuid' },
      cluster: {},
      columns: {},
    })
    await expect(store.get(unknown, { id: randomUUID() })).rejects.toThrow(TypeError)
    await expect(store.put(unknown, { id: randomUUID() })).rejects.toThrow(TypeError)
  })

  it('opens tables again and again', async () => {
    await using store = await open()
    const row = { user: randomUUID(), device: 'd', label: 'x' }
    await store.put(devices, row)
    await store.open([devices])
    expect(await store.get(devices, row)).toEqual(row)
  })

  it('answers many writers at once', async () => {
    await using store = await open()
    const user = randomUUID()
    const numbers = Array.from({ length: 500 }, (_, index) => `${index}`.padStart(3, '0'))
    await Promise.all(
      numbers.map((device) => store.put(devices, { user, device, label: `nr ${device}` })),
    )
    const found = await store.list(devices, { user })
    expect(found.rows.map(({ device }) => device)).toEqual(numbers)
  })
}

/** A version 1 UUID of this millisecond (RFC 9562 §5.1). */
function timeuuid(ms: number): string {
  const ticks = BigInt(ms) * 10_000n + 122_192_928_000_000_000n
  const hex = ticks.toString(16).padStart(15, '0')
  const node = randomBytes(6).toString('hex')
  return `${hex.slice(7)}-${hex.slice(3, 7)}-1${hex.slice(0, 3)}-8000-${node}`
}
