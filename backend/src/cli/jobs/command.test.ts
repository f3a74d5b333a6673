import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { lockDataFolder } from '../../adapters/local/data-folder.ts'
import { run } from '../run.ts'

let data: string
let out: string[]
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'job-'))
})
afterAll(() => rm(data, { recursive: true }))
beforeEach(() => {
  out = []
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      out.push(String(text))
      return true
    })
  }
})
afterEach(() => {
  vi.restoreAllMocks()
})

describe('a job as a command', () => {
  it('says what it did, and the second time that nothing is left', async () => {
    expect(await run(['galley-migrate-data', '--data', data])).toBe(0)
    expect(out.at(-1)).toBe('galley-migrate-data: 1 done (list-conversations)\n')
    expect(await run(['galley-migrate-data', '--data', data])).toBe(0)
    expect(out.at(-1)).toBe('galley-migrate-data: nothing to do\n')
    expect(await run(['galley-migrate-data', '--data', data, '--again'])).toBe(0)
    expect(out.at(-1)).toBe('galley-migrate-data: 1 done (list-conversations)\n')
  })

  it('does not touch data that a server uses', async () => {
    await using _lock = await lockDataFolder(data)
    expect(await run(['galley-migrate-data', '--data', data])).toBe(1)
    expect(out.join('')).toContain('is in use by another Tricord')
  })

  it('that is misspelt, or has flags it does not know, is wrong usage', async () => {
    expect(await run(['galley-migrate', '--data', data])).toBe(2)
    expect(await run(['galley-migrate-data', '--gain'])).toBe(2)
    expect(await run(['galley-migrate-data', '--config', join(data, 'none.yaml')])).toBe(2)
  })

  it('for an engine that is not configured says so', async () => {
    expect(await run(['cassandra-migrations', '--data', data])).toBe(2)
    expect(out.join('')).toContain('cassandra-migrations is for the kind cassandra')
  })

  it('names what is wrong with the configuration of Cassandra', async () => {
    const file = join(data, 'cassandra.yaml')
    await writeFile(
      file,
      'wideColumn: { kind: cassandra, contactPoints: [a], localDatacenter: dc1, user: u }\n',
    )
    expect(await run(['cassandra-migrations', '--config', file, '--data', data])).toBe(2)
    expect(out.join('')).toContain('user and passwordFile come together or not at all')
  })

  it('stands in the help of the program and explains itself', async () => {
    expect(await run(['--help'])).toBe(0)
    expect(out.join('')).toMatch(/cassandra-migrations .*galley-migrate-data/s)
    expect(await run(['cassandra-migrations', '--help'])).toBe(0)
    expect(out.join('')).toContain('--contract')
  })
})
