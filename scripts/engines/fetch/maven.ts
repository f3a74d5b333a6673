/** Jars by Maven: the pom says which, `checksums.sha256` beside it what each must be. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Fetch } from './fetch.ts'
import { runTool } from './tool.ts'

const missing = 'install Maven and a JDK (Debian: apt-get install maven)'

/** File name to SHA-256 in hex, from lines as `sha256sum` writes them. */
export function parseChecksums(text: string): Map<string, string> {
  const checksums = new Map<string, string>()
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const match = /^([0-9a-f]{64}) [ *]([^/]+)$/.exec(line)
    if (match?.[1] === undefined || match[2] === undefined) {
      throw new Error(`not a line of sha256sum: ${line}`)
    }
    checksums.set(match[2], match[1])
  }
  return checksums
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

/** Throws unless the folder holds exactly the files that are listed, as they are listed. */
export async function checkFiles(folder: string, checksums: Map<string, string>): Promise<void> {
  const files = await readdir(folder)
  const problems = [...checksums.keys()]
    .filter((name) => !files.includes(name))
    .map((name) => `${name} was not fetched`)
  for (const name of files) {
    const expected = checksums.get(name)
    if (expected === undefined) problems.push(`${name} is not in the list`)
    else if ((await sha256(join(folder, name))) !== expected) problems.push(`${name} differs`)
  }
  if (problems.length > 0) {
    throw new Error(`the jars do not match checksums.sha256:\n${problems.join('\n')}`)
  }
}

export const fetchWithMaven: Fetch = async ({ lock, folder, signal }) => {
  const jars = join(folder, 'lib')
  await runTool(
    'mvn',
    [
      '--batch-mode',
      '--quiet',
      '--strict-checksums',
      '--file',
      join(lock, 'pom.xml'),
      'dependency:copy-dependencies',
      `-DoutputDirectory=${jars}`,
      '-DincludeScope=runtime',
    ],
    { signal, missing },
  )
  await checkFiles(jars, parseChecksums(await readFile(join(lock, 'checksums.sha256'), 'utf8')))
}
