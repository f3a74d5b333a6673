import { randomUUID } from 'node:crypto'
import type { Client } from '@opensearch-project/opensearch'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Progress, StepContext } from '../../platform/jobs/job.ts'
import { connectOpenSearch } from './client.ts'
import { indexStep } from './index-step.ts'
import { currentIndex, userIndexSchema, type IndexSchema } from './user-index.ts'

const nodes = process.env['TEST_OPENSEARCH']?.split(',').map((node) => `http://${node}`) ?? []
const alias = `test-step-${randomUUID()}`
const nextSchema: IndexSchema = {
  version: userIndexSchema.version + 1,
  properties: { ...userIndexSchema.properties, later: { type: 'keyword' } },
}

describe.skipIf(nodes.length === 0)('the job of the index, with TEST_OPENSEARCH', () => {
  let admin: Client
  let nowMs = Date.now()

  /** A run that is interrupted after so many of its pieces. */
  async function run(
    schema: IndexSchema,
    cursor?: string,
    piecesUntilStop = Infinity,
  ): Promise<{ cursor: string | undefined; lines: string[] }> {
    const lines: string[] = []
    let saved = cursor
    let left = piecesUntilStop
    const context: StepContext = {
      cursor,
      progress: { done: 0 } satisfies Progress,
      signal: new AbortController().signal,
      async save(next) {
        saved = next
        left -= 1
        if (left === 0) throw new Error('interrupted')
      },
      patiently: (work) => work(),
      report: (line) => void lines.push(line),
    }
    nowMs += 1000
    const step = indexStep({ nodes, index: alias }, () => nowMs, schema)
    await step.run(context).catch((error: Error) => {
      if (error.message !== 'interrupted') throw error
    })
    return { cursor: saved, lines }
  }
  const count = async (): Promise<unknown> => {
    await admin.indices.refresh({ index: alias })
    return (await admin.count({ index: alias })).body.count
  }

  beforeAll(async () => {
    admin = await connectOpenSearch({ nodes }, 30_000)
  })
  afterAll(async () => {
    await admin.indices.delete({ index: `${alias}*` })
    await admin.close()
  })

  it('makes the index once, and moves to a newer shape in spite of interruptions', async () => {
    await run(userIndexSchema)
    const first = await currentIndex(admin, alias)
    expect(first).toMatchObject({ version: userIndexSchema.version })
    expect((await run(userIndexSchema)).lines).toEqual([
      `${alias} stands for ${first?.name ?? ''} already`,
    ])
    expect(await currentIndex(admin, alias)).toEqual(first)
    for (const id of ['a', 'b', 'c']) {
      await admin.index({
        index: alias,
        id,
        version: 1000,
        version_type: 'external',
        body: { user: id, name: 'somebody', versionMs: 1000 },
      })
    }
    // Interrupted after each of its pieces.
    let cursor: string | undefined
    for (let interruption = 0; interruption < 4; interruption += 1) {
      const outcome = await run(nextSchema, cursor, 1)
      expect(outcome.cursor).not.toBe(cursor)
      cursor = outcome.cursor
      expect(await count()).toBe(3)
    }
    const last = await run(nextSchema, cursor)
    const current = await currentIndex(admin, alias)
    expect(current).toMatchObject({ version: nextSchema.version })
    expect(last.lines.at(-1)).toBe(`${alias} stands for ${current?.name ?? ''} now`)
    expect(await count()).toBe(3)
    const { body } = await admin.indices.get({ index: `${alias}*` })
    expect(Object.keys(body)).toEqual([current?.name])
  }, 120_000)
})
