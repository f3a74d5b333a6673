import { describe, expect, it } from 'vitest'
import { openGroupCommit } from './group-commit.ts'
import type { CommitHooks, GroupCommit } from './group-commit.ts'
import type { TableLayout } from '../../ports/table-layout.ts'
import { writeBatch } from './write-batch.ts'

const key = { name: 'id', type: 'int', isOptional: false } as const
const notes: TableLayout = {
  name: 'notes',
  partition: [key],
  cluster: [],
  columns: [{ name: 'note', type: 'text', isOptional: true }],
  shape: 'rows',
}
const texts = [
  'INSERT INTO notes (id, "_expires") VALUES (?, ?)',
  'INSERT INTO queue (id, "_expires") VALUES (?, ?)',
  'UPDATE notes SET note = ? WHERE id = ?',
]
const [intoNotes, intoQueue, changeNote] = [0, 1, 2]
type Params = readonly (number | string | null)[]

function open(hooks?: CommitHooks): GroupCommit {
  const core = openGroupCommit({ file: ':memory:', synchronous: 'off' }, hooks)
  core.upgradeSchema([notes, { ...notes, name: 'queue', shape: 'queue' }])
  core.addStatements(texts)
  return core
}

function batchOf(requests: readonly { id: number; params: Params }[][], isConditional = false) {
  const batch = writeBatch()
  for (const statements of requests) batch.add({ isConditional, statements })
  return { bytes: batch.take(), count: requests.length }
}

const insert = (id: number, expires: number | null = null) => ({
  id: intoNotes,
  params: [id, expires],
})
const ids = (core: GroupCommit): unknown[] =>
  core.db
    .prepare('SELECT id FROM notes ORDER BY id')
    .all()
    .map((row) => row['id'])
const count = (core: GroupCommit, table: string): unknown =>
  core.db.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.['rows']

describe('a commit', () => {
  it('holds all batches and answers each request of each', async () => {
    const commits: number[] = []
    const core = open({ beforeCommit: (requests) => void commits.push(requests) })
    const outcomes = await core.commit([
      batchOf([[insert(1)], [insert(2), insert(3)]]),
      batchOf([[insert(4)]]),
    ])
    expect(outcomes.map(({ outcomes: each }) => each)).toEqual([
      Uint8Array.of(1, 1),
      Uint8Array.of(1),
    ])
    expect(commits).toEqual([3])
    expect(ids(core)).toEqual([1, 2, 3, 4])
  })

  it('undoes a request that fails, as a whole and alone', async () => {
    const core = open()
    const [outcome] = await core.commit([
      batchOf([[insert(1)], [insert(2), insert(1)], [insert(1)], [insert(3)]]),
    ])
    expect([...(outcome?.outcomes ?? [])]).toEqual([1, 2, 2, 1])
    expect(outcome?.failures.map(({ kind }) => kind)).toEqual(['refused', 'refused'])
    expect(ids(core)).toEqual([1, 3])
  })

  it('undoes a conditional request when one of its statements changes nothing', async () => {
    const core = open()
    const change = { id: changeNote, params: ['n', 9] }
    const [outcome] = await core.commit([batchOf([[insert(1), change], [insert(2)]], true)])
    expect([...(outcome?.outcomes ?? [])]).toEqual([0, 1])
    expect(ids(core)).toEqual([2])
  })

  it.each([
    ['a full disk', 13, 'unavailable'],
    ['a damaged file', 11, 'damaged'],
    ['a failed disk', 10, 'unavailable'],
  ])('that meets %s fails for everybody, and the next one succeeds', async (_, errcode, kind) => {
    let isBroken = true
    const core = open({
      beforeCommit() {
        if (isBroken) throw Object.assign(new Error('broken'), { errcode })
      },
    })
    const [outcome] = await core.commit([batchOf([[insert(1)], [insert(2)]])])
    expect(outcome?.failures.map((failure) => failure.kind)).toEqual([kind, kind])
    expect(ids(core)).toEqual([])
    isBroken = false
    const [later] = await core.commit([batchOf([[insert(1)]])])
    expect([...(later?.outcomes ?? [])]).toEqual([1])
  })

  it('whose answer is lost has an unknown outcome', async () => {
    const core = open({ afterCommit: () => Promise.reject(new Error('lost')) })
    const [outcome] = await core.commit([batchOf([[insert(1)]])])
    expect(outcome?.failures).toEqual([{ kind: 'unknown-outcome', message: 'lost' }])
    expect(ids(core)).toEqual([1])
  })
})

describe('purge', () => {
  const fill = (core: GroupCommit, id: number) =>
    core.commit([
      batchOf(
        Array.from({ length: 1200 }, (_, index) => [
          { id, params: [index, index % 2 === 0 ? 1000 : null] },
        ]),
      ),
    ])

  it('removes expired rows in bites, and no others', async () => {
    const core = open()
    await fill(core, intoNotes)
    expect(core.purge(999)).toBe(false)
    expect(count(core, 'notes')).toBe(1200)
    expect(core.purge(1000)).toBe(true)
    expect(count(core, 'notes')).toBe(700)
    expect(core.purge(1000)).toBe(false)
    expect(count(core, 'notes')).toBe(600)
  })

  it('walks through a queue, and again an hour later', async () => {
    const core = open()
    await fill(core, intoQueue)
    const bites = [0, 0, 0].map(() => core.purge(1000))
    expect(bites).toEqual([true, true, false])
    expect(count(core, 'queue')).toBe(600)
    await core.commit([batchOf([[{ id: intoQueue, params: [5000, 2000] }]])])
    expect(core.purge(3000)).toBe(false)
    expect(count(core, 'queue')).toBe(601)
    core.purge(1000 + 3_600_000)
    core.purge(1000 + 3_600_000)
    expect(count(core, 'queue')).toBe(600)
  })
})
