import { mkdtemp, readdir, rm, writeFile, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { objectsContract } from '../../ports/objects.contract.ts'
import { openFilesystem } from './objects.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tricord-objects-'))
})
afterEach(() => rm(root, { recursive: true }))

objectsContract(() => openFilesystem({ root, nowMs: Date.now }))

it('clears away uploads that a crash left unfinished', async () => {
  await mkdir(join(root, '.uploads'))
  await writeFile(join(root, '.uploads', 'half'), 'half')
  await using _store = await openFilesystem({ root, nowMs: Date.now })
  expect(await readdir(join(root, '.uploads'))).toEqual([])
})

it('does not take a content without description for an object', async () => {
  await mkdir(join(root, 'v3'))
  await writeFile(join(root, 'v3', 'orphan'), 'content')
  await using store = await openFilesystem({ root, nowMs: Date.now })
  expect(await store.get('v3/orphan')).toBeUndefined()
})
