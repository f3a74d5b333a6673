/** Brings parts of the catalogue into the cache; what is there already is taken as it is. */
import { access, chmod, glob, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { catalogueFolder, type Catalogue, type Part, partKey, partOf } from '../catalogue.ts'
import { withLock } from '../lock.ts'
import { fetchWithDebian } from './debian.ts'
import { fetchWithGo } from './go.ts'
import { fetchWithMaven } from './maven.ts'
import { fetchWithPip } from './pip.ts'

export interface FetchInput {
  part: Part
  /** The lock file or folder. */
  lock: string
  /** An empty folder to fill. */
  folder: string
  say: (line: string) => void
  signal?: AbortSignal | undefined
}

export type Fetch = (input: FetchInput) => Promise<void>

const fetchers: Readonly<Record<Part['from'], Fetch>> = {
  pip: fetchWithPip,
  maven: fetchWithMaven,
  go: fetchWithGo,
  debian: fetchWithDebian,
}

export function defaultCache(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  return join(base, 'tricord/engines')
}

/** Resolves with the folder that holds the part. A fetch that was cut off leaves nothing behind. */
export async function fetchPart(
  catalogue: Catalogue,
  name: string,
  options: { cache: string; say: (line: string) => void; signal?: AbortSignal | undefined },
): Promise<string> {
  const part = partOf(catalogue, name)
  const target = join(options.cache, name, `${part.version}-${await partKey(name, part)}`)
  if (await isThere(target)) return target
  await mkdir(join(options.cache, name), { recursive: true })
  return withLock(join(options.cache, name, 'lock'), options, async () => {
    if (await isThere(target)) return target
    const startedMs = performance.now()
    options.say(`fetching ${name} ${part.version} with ${part.from} ...`)
    // Left by a fetch that was killed: nobody else fetches this part while we hold the lock.
    for await (const left of glob(join(options.cache, name, 'unfinished-*'))) {
      await rm(left, { recursive: true })
    }
    const folder = await mkdtemp(join(options.cache, name, 'unfinished-'))
    try {
      await fetchers[part.from]({
        part,
        lock: join(catalogueFolder, part.lock),
        folder,
        say: options.say,
        signal: options.signal,
      })
      await chmod(folder, 0o755)
      await rename(folder, target)
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw new Error(`${name} ${part.version} could not be fetched`, { cause: error })
    }
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    options.say(`fetched ${name} ${part.version} (${String(seconds)} s)`)
    return target
  })
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
