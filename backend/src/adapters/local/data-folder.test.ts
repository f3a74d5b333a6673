import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { bindDomain, DataFolderInUse, lockDataFolder, OtherDomain } from './data-folder.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tricord-lock-'))
})
afterEach(() => rm(folder, { recursive: true }))

it('is held by one at a time, and made when it is absent', async () => {
  const path = join(folder, 'new', 'data')
  {
    await using _first = await lockDataFolder(path)
    await expect(lockDataFolder(path)).rejects.toThrow(DataFolderInUse)
  }
  await using _second = await lockDataFolder(path)
})

it('is free again when its holder was killed', async () => {
  const holder = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '--eval',
      `import { lockDataFolder } from ${JSON.stringify(join(import.meta.dirname, 'data-folder.ts'))}
       globalThis.held = await lockDataFolder(${JSON.stringify(folder)})
       process.stdout.write('held')
       setInterval(() => undefined, 1000)`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  await once(holder.stdout, 'data')
  await expect(lockDataFolder(folder)).rejects.toThrow(/in use/)
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  await using _mine = await lockDataFolder(folder)
})

it('keeps to the backend domain of its first start', async () => {
  await bindDomain(folder, 'one.example.org')
  await bindDomain(folder, 'one.example.org')
  await expect(bindDomain(folder, 'two.example.org')).rejects.toThrow(OtherDomain)
})
