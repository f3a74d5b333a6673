import { mkdir, writeFile } from 'node:fs/promises'
import type { TestProject } from 'vitest/node'
import { attachEngines } from '../../scripts/engines/start.ts'
import { settings } from '../e2e/settings.ts'
import { outputOf, startClusterProcesses } from '../support/cluster-processes.ts'

/** Where the engines of this run lie: set by `npm run test:engines`, which has started them. */
const directoryVariable = 'TRICORD_TEST_ENGINES'

/** Two of every service for all scenarios together; what they say is in `test-results/cluster.txt`. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = process.env[directoryVariable]
  if (directory === undefined) throw new Error(`${directoryVariable} names no engines`)
  const cluster = await startClusterProcesses({
    engines: await attachEngines({ directory }),
    run: `s${crypto.randomUUID().slice(0, 8)}`,
    config: settings,
    isChecked: true,
  })
  const { url, ws, mailboxUrl, noticeboardUrl } = cluster
  project.provide('engines', { url, ws, mailboxUrl, noticeboardUrl })
  return async () => {
    await mkdir('test-results', { recursive: true })
    await writeFile('test-results/cluster.txt', outputOf(cluster.processes))
    await cluster[Symbol.asyncDispose]()
  }
}
