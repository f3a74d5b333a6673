import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Config } from '../../backend/src/compose/config.ts'
import {
  startEmbedded,
  type EmbeddedOverrides,
  type RunningEmbedded,
} from '../../backend/src/compose/embedded.ts'
import { recordConformance } from '../conformance/recorder.ts'
import { raisedLimits } from './server-process.ts'

export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly mailboxUrl: string
  readonly noticeboardUrl: string
  readonly config: Config
  readonly running: RunningEmbedded
}

/**
 * The whole backend in this process, on a folder of its own that goes with it. Every reply is held
 * against the shapes of its API version, undeclared labels are defects, and limits are raised unless
 * `config` says otherwise.
 */
export async function startTestServer(
  config: Readonly<Record<string, unknown>> = {},
  overrides: EmbeddedOverrides = {},
): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-test-'))
  const parsed = Config.parse({
    listen: '127.0.0.1:0',
    operatorListen: '127.0.0.1:0',
    data: join(folder, 'data'),
    log: { level: 'error' },
    isStrict: true,
    ...raisedLimits,
    ...config,
  })
  const running = await startEmbedded(parsed, { wrapListener: recordConformance, ...overrides })
  return {
    url: running.url,
    mailboxUrl: running.operatorUrl,
    noticeboardUrl: running.operatorUrl,
    config: parsed,
    running,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
