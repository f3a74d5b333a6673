import type { TestProject } from 'vitest/node'

import { settings } from '../e2e/settings.ts'
import { startEngineProcesses } from '../support/engine-processes.ts'

/** One set of processes on real engines for all scenarios together. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cassandra = process.env['TEST_CASSANDRA']?.split(',')
  if (cassandra === undefined) {
    throw new Error('TEST_CASSANDRA names no node: see docs/engines.md for how to start one')
  }
  const keyspace = process.env['TEST_KEYSPACE']
  const running = await startEngineProcesses({
    cassandra,
    config: settings,
    isChecked: true,
    ...(keyspace === undefined ? {} : { keyspace }),
  })
  const { url, ws, mailboxUrl } = running
  project.provide('engines', { url, ws, mailboxUrl })
  return async () => running[Symbol.asyncDispose]()
}
