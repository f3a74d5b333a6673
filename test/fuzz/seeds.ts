import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where fast-check found a counterexample once; `path` leads to the smallest one. */
export interface KeptSeed {
  readonly seed: number
  readonly path: string
  /** What was wrong, for people. */
  readonly fault: string
}

const folder = join(import.meta.dirname, 'seeds')
const fileOf = (name: string): string => join(folder, `${name}.json`)

export async function keptSeeds(name: string): Promise<readonly KeptSeed[]> {
  try {
    return JSON.parse(await readFile(fileOf(name), 'utf8')) as KeptSeed[]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Kept seeds are committed and run again with the tests. */
export async function keepSeed(name: string, found: KeptSeed): Promise<string> {
  const kept = await keptSeeds(name)
  const isKnown = kept.some(({ seed, path }) => seed === found.seed && path === found.path)
  await mkdir(folder, { recursive: true })
  await writeFile(fileOf(name), `${JSON.stringify(isKnown ? kept : [...kept, found], null, 2)}\n`)
  return fileOf(name)
}
