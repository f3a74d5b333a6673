/**
 * Installs from Debian the programs that `npm run test:turn` and `npm run bench -- turn` hold the
 * relay against: coturn with its tools, and Chromium. Says what it does; without apt or without
 * root it changes nothing, says so, and the tests of what is missing are skipped.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const wanted = [
  { name: 'coturn', file: '/usr/bin/turnutils_uclient' },
  { name: 'chromium', file: '/usr/bin/chromium' },
  { name: 'openssl', file: '/usr/bin/openssl' },
] as const

const say = (text: string): void => void process.stdout.write(`turn peers: ${text}\n`)

function apt(args: readonly string[]): boolean {
  say(`apt-get ${args.join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync('apt-get', ['-q', '-y', ...args], { stdio: 'inherit', env }).status === 0
}

const missing = wanted.filter(({ file }) => !existsSync(file)).map(({ name }) => name)
if (missing.length === 0) {
  say('all there')
} else if (!existsSync('/usr/bin/apt-get')) {
  say(`${missing.join(', ')} missing, and there is no apt here: their tests are skipped`)
} else if (process.getuid?.() !== 0) {
  say(`${missing.join(', ')} missing, and only root may install: their tests are skipped`)
} else {
  const isDone = apt(['update']) && apt(['install', '--no-install-recommends', ...missing])
  say(isDone ? 'installed' : 'could not be installed: tests of what is missing are skipped')
}
