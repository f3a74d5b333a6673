import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { origin, startTestPeople, type TestPeople } from '../test-people.ts'

let brig: TestPeople
let alice: UserId
beforeEach(async () => {
  brig = await startTestPeople()
  alice = await brig.addUser()
})
afterEach(() => brig[Symbol.asyncDispose]())

const set = (key: string, text: string) =>
  brig.call('PUT', `/properties/${encodeURIComponent(key)}`, { as: alice, text })
const get = (key: string) =>
  brig.call('GET', `/properties/${encodeURIComponent(key)}`, { as: alice })
const keys = async () => (await brig.call('GET', '/properties', { as: alice })).body as string[]
const values = () => brig.call('GET', '/properties-values', { as: alice })

describe('a property', () => {
  it.each(['{"a" : 1.0,\n "b":[]}', '"text"', '12345678901234567890.10', 'null', ' true '])(
    'comes back as it was sent: %s',
    async (text) => {
      const reply = await set('webapp', text)
      expect([reply.status, reply.text]).toEqual([200, ''])
      expect((await get('webapp')).text).toBe(text)
      expect((await values()).text).toBe(`{"webapp":${text}}`)
    },
  )

  it('may have any printable name', async () => {
    const key = '" a/b\\%20~'
    await set(key, '1')
    expect(await keys()).toEqual([key])
    expect((await values()).body).toEqual({ [key]: 1 })
    expect((await get(key)).text).toBe('1')
    for (const bad of ['döner', 'a\nb', '\u007f']) expect((await set(bad, '1')).status).toBe(400)
  })

  it('is told to the other devices of the user', async () => {
    await set('labels', '{"x":[1]}')
    await brig.call('DELETE', '/properties/labels', { as: alice })
    await brig.call('DELETE', '/properties', { as: alice })
    expect(brig.pushed).toEqual(
      [
        { type: 'user.properties-set', key: 'labels', value: { x: [1] } },
        { type: 'user.properties-delete', key: 'labels' },
        { type: 'user.properties-clear' },
      ].map((event) => ({ recipients: [alice], event, origin: origin(alice) })),
    )
  })

  it('is the own one only, and gone once removed', async () => {
    await set('a', '1')
    const other = await brig.addUser()
    expect((await brig.call('GET', '/properties/a', { as: other })).status).toBe(404)
    expect((await brig.call('DELETE', '/properties/a', { as: alice })).status).toBe(200)
    expect((await get('a')).status).toBe(404)
    expect((await brig.call('DELETE', '/properties/a', { as: alice })).status).toBe(200)
    await set('b', '1')
    await set('c', '2')
    expect((await brig.call('DELETE', '/properties', { as: alice })).status).toBe(200)
    expect(await keys()).toEqual([])
    expect((await values()).body).toEqual({})
  })

  it('has limits in number, also for those who come at once', async () => {
    const names = Array.from({ length: 16 }, (_, index) => `p${String(index)}`)
    for (const name of names) expect((await set(name, '0')).status).toBe(200)
    expect((await set('one-more', '0')).body).toMatchObject({
      code: 403,
      label: 'too-many-properties',
    })
    expect((await set('p3', '1')).status).toBe(200)
    await brig.call('DELETE', '/properties/p0', { as: alice })
    await Promise.all(Array.from({ length: 10 }, (_, index) => set(`q${String(index)}`, '0')))
    expect((await keys()).length).toBeLessThanOrEqual(16)
  })

  it('has limits in size', async () => {
    const longest = 'k'.repeat(1024)
    expect((await set(longest, '1')).status).toBe(200)
    const key = await set(`${longest}k`, '1')
    expect(key.body).toMatchObject({ code: 403, label: 'property-key-too-large' })
    const text = (length: number) => `"${'x'.repeat(length - 2)}"`
    expect((await set('a', text(512 * 1024))).status).toBe(200)
    const value = await set('a', text(512 * 1024 + 1))
    expect(value.body).toMatchObject({ code: 403, label: 'property-value-too-large' })
    expect((await set('a', text(2 * 1024 * 1024))).status).toBe(413)
  })

  it.each(['', '{', '[1,]', "'x'", `${'['.repeat(1000)}${']'.repeat(1000)}`])(
    'must be JSON, not too deep: %s',
    async (text) => {
      expect((await set('a', text)).body).toMatchObject({ code: 400, label: 'bad-request' })
      expect(brig.pushed).toEqual([])
    },
  )
})
