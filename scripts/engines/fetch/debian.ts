/**
 * Programs out of Debian packages, unpacked into the cache and never installed, so that no service
 * starts on the host. apt checks Debian's signature; the lock says in which version and with which
 * hash a package was tried.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Fetch } from './fetch.ts'
import { runTool } from './tool.ts'

export interface DebianPackage {
  release: string
  architecture: string
  name: string
  version: string
  sha256: string
}

export function parseDebianLock(text: string): DebianPackage[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [release, architecture, name, version, sha256, ...more] = line.split(' ')
      if (
        release === undefined ||
        architecture === undefined ||
        name === undefined ||
        version === undefined ||
        sha256 === undefined ||
        !/^[0-9a-f]{64}$/.test(sha256) ||
        more.length > 0
      ) {
        throw new Error(`not "RELEASE ARCHITECTURE NAME VERSION SHA256": ${line}`)
      }
      return { release, architecture, name, version, sha256 }
    })
}

const missing = 'the engines need a Debian host'

async function hostRelease(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^VERSION_CODENAME=(.*)$/m.exec(text)?.[1] ?? 'unknown'
}

export const fetchWithDebian: Fetch = async ({ lock, folder, say, signal }) => {
  const release = await hostRelease()
  const architecture = (await runTool('dpkg', ['--print-architecture'], { signal, missing })).trim()
  const wanted = parseDebianLock(await readFile(lock, 'utf8')).filter(
    (one) => one.release === release && one.architecture === architecture,
  )
  if (wanted.length === 0) {
    throw new Error(`${lock} lists no packages for Debian "${release}" on ${architecture}`)
  }
  const packages = join(folder, 'packages')
  await mkdir(packages)
  // Lists of our own: no root is needed, and the host's are not touched.
  const state = join(folder, 'apt')
  const own = [
    '-o',
    `Dir::State=${state}`,
    '-o',
    `Dir::Cache=${state}/cache`,
    '-o',
    'Dir::State::status=/var/lib/dpkg/status',
    '-o',
    'APT::Sandbox::User=',
  ]
  await mkdir(join(state, 'lists/partial'), { recursive: true })
  await mkdir(join(state, 'cache/archives/partial'), { recursive: true })
  await runTool('apt-get', [...own, '-qq', 'update'], { signal, missing })
  const download = (names: readonly string[]): Promise<boolean> =>
    runTool('apt-get', [...own, '-qq', 'download', ...names], { cwd: packages, signal }).then(
      () => true,
      () => false,
    )
  const exact = ({ name, version }: DebianPackage): string => `${name}=${version}`
  const hasAll = await download(wanted.map(exact))
  for (const one of wanted) {
    if (!hasAll && !(await download([exact(one)]))) {
      say(`${one.name} ${one.version} is not to be had any more; taking what Debian has now`)
      await runTool('apt-get', [...own, '-qq', 'download', one.name], { cwd: packages, signal })
      continue
    }
    const [file = ''] = (await readdir(packages)).filter((name) => name.startsWith(`${one.name}_`))
    const bytes = await readFile(join(packages, file))
    if (createHash('sha256').update(bytes).digest('hex') !== one.sha256) {
      throw new Error(`${one.name} ${one.version} is not the package that the lock names`)
    }
  }
  for (const file of await readdir(packages)) {
    await runTool('dpkg-deb', ['--extract', join(packages, file), folder], { signal, missing })
  }
  await rm(packages, { recursive: true })
  await rm(state, { recursive: true })
}
