import type { TestProject } from 'vitest/node'
import { attachEngines } from '../../scripts/engines/start.ts'
import { settings } from '../e2e/settings.ts'
import type { Backend } from '../e2e/split-setup.ts'
import { startClusterProcesses } from '../support/cluster-processes.ts'
import { runJobs, settingsFor } from './settings.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Given when the scenarios are to be played on two of every service and the real engines. */
    engines?: Backend
  }
}

/** Where the engines of this run lie: set by the command that started them. */
export const directoryVariable = 'TRICORD_TEST_ENGINES'

/** Two of every service for all scenarios together. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = process.env[directoryVariable]
  if (directory === undefined) throw new Error(`${directoryVariable} names no engines`)
  const engines = settingsFor(await attachEngines({ directory }), process.env['TRICORD_TEST_KEYSPACE'] ?? 'scenarios')
  await runJobs(engines)
  const cluster = await startClusterProcesses({ engines, config: settings })
  const { url, ws, mailboxUrl, noticeboardUrl } = cluster
  project.provide('engines', { url, ws, mailboxUrl, noticeboardUrl })
  return async () => cluster[Symbol.asyncDispose]()
}
