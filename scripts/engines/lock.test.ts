import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { withLock } from './lock.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tricord-lock-'))
})
afterAll(() => rm(folder, { recursive: true }))

const say = (): void => undefined

it('lets one in after the other and leaves nothing behind', async () => {
  const file = join(folder, 'lock')
  let inside = 0
  const most: number[] = []
  const work = (): Promise<void> =>
    withLock(file, { say }, async () => {
      inside += 1
      most.push(inside)
      await new Promise((resolve) => setImmediate(resolve))
      inside -= 1
    })
  await Promise.all([work(), work(), work()])
  expect(most).toEqual([1, 1, 1])
  expect(await readdir(folder)).toEqual([])
})

it('is taken over from a holder that is gone', async () => {
  const file = join(folder, 'abandoned')
  await writeFile(file, `an earlier boot\n1 (sh) S${' 0'.repeat(40)}\n`)
  expect(await withLock(file, { say }, async () => 'in')).toBe('in')
})

it('is given back when the work fails', async () => {
  const file = join(folder, 'failed')
  await expect(withLock(file, { say }, () => Promise.reject(new Error('no luck')))).rejects.toThrow(
    'no luck',
  )
  expect(await withLock(file, { say }, async () => 'in')).toBe('in')
})
