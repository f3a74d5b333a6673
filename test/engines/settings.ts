import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { engineOf, type RunningEngines } from '../../scripts/engines/start.ts'

const root = join(import.meta.dirname, '../..')

/** The server's settings for engines that run, with a keyspace of their own. */
export function settingsFor(engines: RunningEngines, keyspace: string): Record<string, unknown> {
  return {
    wideColumn: {
      kind: 'cassandra',
      contactPoints: engineOf(engines, 'cassandra').addresses,
      localDatacenter: 'dc1',
      keyspace,
    },
  }
}

/** The jobs that come before the services, as an operator runs them. */
export async function runJobs(settings: Readonly<Record<string, unknown>>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-jobs-'))
  try {
    const file = join(folder, 'tricord.yaml')
    await writeFile(file, stringify({ data: folder, log: { level: 'warn' }, ...settings }))
    for (const job of ['cassandra-migrations']) {
      const args = ['--disable-warning=ExperimentalWarning', 'backend/src/main.mjs', job]
      await promisify(execFile)(process.execPath, [...args, '--config', file], { cwd: root })
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
