// The server as `main.mjs` runs it, in one process or as one service (`--only`), with a clock that is
// wrong or jumps between right and wrong, and an end at a chosen step: `--clock-offset-ms=MS
// --clock-jumps --die-at=STEP:N`, beside `--config FILE`.
import { enableCompileCache } from 'node:module'
import { parseArgs } from 'node:util'

import type { EmbeddedOverrides } from '../../backend/src/compose/embedded.ts'
import type { Clock } from '../../backend/src/platform/clock.ts'

enableCompileCache()
const { Config, ServiceName } = await import('../../backend/src/compose/config.ts')
const { startEmbedded } = await import('../../backend/src/compose/embedded.ts')
const { startOne } = await import('../../backend/src/compose/split.ts')
const { systemClock } = await import('../../backend/src/platform/clock.ts')
const { parseConfig, readYaml } = await import('../../backend/src/platform/config/load.ts')

const { values } = parseArgs({
  options: {
    config: { type: 'string' },
    only: { type: 'string' },
    'clock-offset-ms': { type: 'string', default: '0' },
    'clock-jumps': { type: 'boolean', default: false },
    'die-at': { type: 'string' },
  },
})

/** How long a clock that jumps shows the same time of day. */
const jumpEveryMs = 200

function wrongClock(offsetMs: number, isJumping: boolean): Clock {
  const clock = systemClock()
  return {
    ...clock,
    nowMs() {
      const isRight = isJumping && Math.floor(clock.monotonicMs() / jumpEveryMs) % 2 === 1
      return clock.nowMs() + (isRight ? 0 : offsetMs)
    },
  }
}

/** Ends the process without a word when the step is passed for the n-th time. */
function dyingAt(text: string): EmbeddedOverrides {
  const [step, count] = text.split(':')
  let left = Number(count)
  function pass(passed: string): void {
    if (passed !== step) return
    left -= 1
    if (left === 0) process.kill(process.pid, 'SIGKILL')
  }
  if (step === 'beforeCommit' || step === 'afterCommit') {
    return { commitHooks: { [step]: () => pass(step) } }
  }
  return { gundeckHooks: { at: pass, atRing: pass } }
}

const dieAt = values['die-at']
const config = parseConfig(Config, await readYaml(values.config), 'the configuration')
const overrides: EmbeddedOverrides = {
  clock: wrongClock(Number(values['clock-offset-ms']), values['clock-jumps']),
  isBeatInThread: false,
  ...(dieAt === undefined ? {} : dyingAt(dieAt)),
}
const running =
  values.only === undefined
    ? await startEmbedded(config, overrides)
    : await startOne(parseConfig(ServiceName, values.only, '--only'), config, overrides)
process.stdout.write('Ready\n')
await new Promise((resolve) => process.once('SIGTERM', resolve))
await running.drain()
await running[Symbol.asyncDispose]()
