import { assert, base64String, json, oneof, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  MalformedPage,
  put,
  putIfAbsent,
  removeRange,
  table,
  update,
  updateIf,
} from '../../ports/wide-column.ts'
import { createTable, keyspaceOf } from './schema.ts'
import { tableStatements } from './statements.ts'

const user = '00000000-0000-4000-8000-000000000001'
const devices = table({
  name: 'brig_devices',
  partition: { user: 'uuid' },
  cluster: { device: 'text', part: 'int' },
  columns: { label: 'text', model: 'text?' },
})
const queue = table({ ...devices, name: 'brig_queue', shape: 'queue' })
const claims = table({ ...devices, name: 'brig_claims', writes: 'conditional' })
const row = { user, device: 'd', part: 1, label: 'phone' }
const of = (declared: typeof devices) => tableStatements('tricord', declared)
/** Texts where they are texts, and how many values there are. */
const size = ({ params }: { params: readonly unknown[] }) => params.length

describe('a plain write', () => {
  it('carries its own time, or else the one it is given', () => {
    const own = of(devices).write(put(devices, row, { writtenAtMicros: 5n }), 7n)
    expect(own.params.at(-1)?.readBigInt64BE()).toBe(5n)
    const given = of(devices).write(put(devices, row), 7n)
    expect(given.params.at(-1)?.readBigInt64BE()).toBe(7n)
    const removed = of(devices).write(removeRange(devices, { user }), 7n)
    expect(removed.query).toContain('USING TIMESTAMP ?')
    expect(removed.params[0]?.readBigInt64BE()).toBe(7n)
  })

  it('removes what a put does not name, except in a queue, where nothing can be', () => {
    expect(of(devices).write(put(devices, row), 7n).query).toContain('"model"')
    const appended = of(queue).write(put(queue, row), 7n)
    expect(appended.query).not.toContain('"model"')
    expect(appended.params).not.toContain(null)
  })

  it('of some columns makes the row, as an insert does', () => {
    const { query } = of(devices).write(update(devices, row, { label: 'x' }), 7n)
    expect(query).toMatch(/^INSERT INTO "tricord_brig"\."brig_devices"/)
  })
})

describe('a conditional write', () => {
  it('has no time of ours, and asks for the column that says whether the row exists', () => {
    const first = of(claims).writeIf(putIfAbsent(claims, row))
    expect(first.query).toMatch(/IF "_row" = null$/)
    expect(first.query).not.toContain('TIMESTAMP')
    const change = of(claims).writeIf(updateIf(claims, row, { model: undefined }, { label: 'x' }))
    expect(change.query).toMatch(/IF "_row" = true AND "model" = \?$/)
    expect(change.params.at(-1)).toBeNull()
  })

  it('without changes touches a column that never has a value', () => {
    const check = of(claims).writeIf(updateIf(claims, row, { label: 'x' }, {}))
    expect(check.query).toContain('SET "_touched" = null')
  })
})

describe('a page', () => {
  it('goes on behind its last row, within the bounds of the other side', () => {
    const page = of(devices).list({ user }, { prefix: { device: 'd' }, from: 1, before: 9 })
    const last = { user, device: 'd', part: 3, label: 'x', model: null }
    const [next] = page.after(last, 10)
    expect(next?.query).toContain(
      '("device", "part") > (?, ?) AND ("device", "part") < (?, ?) LIMIT ?',
    )
    expect(next && size(next)).toBe(6)
  })

  it('backwards goes on before its last row', () => {
    const page = of(devices).list({ user }, { order: 'descending', prefix: { device: 'd' } })
    const [next] = page.after({ user, device: 'd', part: 3, label: 'x', model: null }, 10)
    expect(next?.query).toContain(
      '("device", "part") < (?, ?) AND ("device") >= (?) ORDER BY "device" DESC, "part" DESC',
    )
  })

  it('takes any token, and knows those that are not its own', () => {
    const encoded = json().map((text) => Buffer.from(text).toString('base64url'))
    assert(
      property(oneof(string(), base64String(), encoded), (page) => {
        expect(() => of(devices).list({ user }, { page })).toThrow(MalformedPage)
        expect(() => of(devices).scan({ page })).toThrow(MalformedPage)
      }),
    )
  })
})

describe('a table', () => {
  it('lies in the keyspace of its service', () => {
    expect(keyspaceOf('tricord', 'brig_user_notes')).toBe('tricord_brig')
    expect(() => keyspaceOf('tricord', 'notes')).toThrow(TypeError)
  })

  it('with conditional writes has two columns more', () => {
    const { schema } = of(claims)
    expect(createTable('tricord', schema)).toContain('"_row" boolean, "_touched" boolean')
    expect(createTable('tricord', of(devices).schema)).not.toContain('_row')
  })

  it('is compacted by what its rows go through', () => {
    expect(createTable('tricord', of(queue).schema)).toContain('TimeWindowCompactionStrategy')
    expect(createTable('tricord', of(devices).schema)).toContain('UnifiedCompactionStrategy')
  })
})
