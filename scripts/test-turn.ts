/**
 * `npm run test:turn`: the relay with coturn's tools, beside a running coturn, and under calls in
 * Chromium. `--long` adds the twelve-minute call. Other arguments go to vitest.
 */
import { spawnSync } from 'node:child_process'

const given = process.argv.slice(2)
const args = given.filter((each) => each !== '--long')
const run = (file: string, more: readonly string[] = []): number =>
  spawnSync(process.execPath, [file, ...more], {
    stdio: 'inherit',
    env: { ...process.env, ...(given.length > args.length ? { TURN_LONG: '1' } : {}) },
  }).status ?? 1

run('scripts/turn-peers.ts')
process.exitCode = run('scripts/test.ts', ['--config', 'test/turn/peers/vitest.config.ts', ...args])
