import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { wideColumnContract } from '../../ports/wide-column.contract.ts'
import { openSqlite } from './wide-column.ts'

let folder = ''
let files = 0
let nowMs = 1_760_000_000_000
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sqlite-'))
})
afterAll(() => rm(folder, { recursive: true }))

const file = (): string => join(folder, `${(files += 1)}.db`)
const pass = (seconds: number): void => {
  nowMs += seconds * 1000
}

describe('in memory', () => {
  wideColumnContract(() => openSqlite({ file: ':memory:', nowMs: () => nowMs }), pass)
})

describe('in a file', () => {
  wideColumnContract(() => openSqlite({ file: file(), nowMs: () => nowMs }), pass)
})
