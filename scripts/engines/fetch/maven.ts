/**
 * Jars by Maven. The lock is a folder: `pom.xml` says what comes into `lib`, `modules/NAME/pom.xml` what
 * into `modules/NAME` (less what `lib` has), and `checksums.sha256` what each jar must be.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, glob, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Fetch, FetchInput } from './fetch.ts'
import { runTool } from './tool.ts'

const missing = 'install Maven and a JDK (Debian: apt-get install maven)'
const pomName = 'pom.xml'
export const checksumsName = 'checksums.sha256'

/** Path to SHA-256 in hex, from lines as `sha256sum` writes them. */
export function parseChecksums(text: string): Map<string, string> {
  const checksums = new Map<string, string>()
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const match = /^([0-9a-f]{64}) [ *]((?:[\w.+-]+\/)*[\w.+-]+)$/.exec(line)
    if (match?.[1] === undefined || match[2] === undefined) {
      throw new Error(`not a line of sha256sum: ${line}`)
    }
    checksums.set(match[2], match[1])
  }
  return checksums
}

async function filesBelow(folder: string, pattern: string): Promise<string[]> {
  const files: string[] = []
  for await (const file of glob(pattern, { cwd: folder })) files.push(file)
  return files.sort()
}

/** What `parseChecksums` reads, of every jar below the folder. */
export async function checksumsOf(folder: string): Promise<Map<string, string>> {
  const checksums = new Map<string, string>()
  for (const file of await filesBelow(folder, '**/*.jar')) {
    const hash = createHash('sha256')
    await pipeline(createReadStream(join(folder, file)), hash)
    checksums.set(file, hash.digest('hex'))
  }
  return checksums
}

/** One line for each file that is missing, is not expected, or differs. */
export function differences(
  found: ReadonlyMap<string, string>,
  expected: ReadonlyMap<string, string>,
): string[] {
  const problems = [...expected.keys()]
    .filter((name) => !found.has(name))
    .map((name) => `${name} was not fetched`)
  for (const [name, hash] of found) {
    if (!expected.has(name)) problems.push(`${name} is not in the list`)
    else if (expected.get(name) !== hash) problems.push(`${name} differs`)
  }
  return problems
}

/** Fills the folder and checks nothing. */
export async function collectJars({ lock, folder, signal }: FetchInput): Promise<void> {
  const found = await filesBelow(lock, `{${pomName},modules/*/${pomName}}`)
  const poms = found
    .map((pom) => ({ from: join(lock, pom), name: pom.slice(0, -pomName.length - 1) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const shared = new Set<string>()
  for (const { from, name } of poms) {
    const target = join(folder, name === '' ? 'lib' : name)
    await mkdir(target, { recursive: true })
    await runTool(
      'mvn',
      [
        '--batch-mode',
        '--quiet',
        '--strict-checksums',
        '--file',
        from,
        'dependency:copy-dependencies',
        `-DoutputDirectory=${target}`,
        '-DincludeScope=runtime',
      ],
      { signal, missing },
    )
    for (const jar of await readdir(target)) {
      if (name === '') shared.add(jar)
      else if (shared.has(jar)) await rm(join(target, jar))
    }
  }
  // What a module needs beside its jars lies beside its pom.
  for (const path of await filesBelow(lock, 'modules/*/*')) {
    if (!path.endsWith(pomName)) await copyFile(join(lock, path), join(folder, path))
  }
}

export const fetchWithMaven: Fetch = async (input) => {
  await collectJars(input)
  const expected = parseChecksums(await readFile(join(input.lock, checksumsName), 'utf8'))
  const problems = differences(await checksumsOf(input.folder), expected)
  if (problems.length > 0) {
    throw new Error(`the jars do not match ${checksumsName}:\n${problems.join('\n')}`)
  }
}
