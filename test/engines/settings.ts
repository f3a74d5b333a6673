import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { jobCommands } from '../../backend/src/cli/jobs/all.ts'
import { primaryName } from '../../scripts/engines/kinds/redis.ts'
import { engineOf, type RunningEngines } from '../../scripts/engines/start.ts'

const root = join(import.meta.dirname, '../..')

/**
 * The server's settings for engines that run. What this run keeps there has names of its own, so that
 * several can share the engines.
 *
 * @param run A small letter, then letters and digits.
 * @param folder For secrets and the files of jobs.
 * @param objects Where a balancer before all object stores listens.
 */
export async function settingsFor(
  engines: RunningEngines,
  { run, folder, objects }: { run: string; folder: string; objects: string },
): Promise<Record<string, unknown>> {
  const addresses = (name: Parameters<typeof engineOf>[1]): readonly string[] =>
    engineOf(engines, name).addresses
  const secret = async (name: string): Promise<string> => {
    await mkdir(folder, { recursive: true })
    const file = join(folder, name)
    await writeFile(file, engines.credentials[name] ?? '', { mode: 0o600 })
    return file
  }
  const isSecure = engines.tls !== undefined
  const scheme = isSecure ? 'https' : 'http'
  // Secured engines ask for our certificate, and those that have accounts for a password.
  const tls = engines.tls && {
    tls: {
      ca: engines.tls.authority,
      cert: engines.tls.client.certificate,
      key: engines.tls.client.key,
    },
  }
  return {
    wideColumn: {
      kind: 'cassandra',
      contactPoints: addresses('cassandra'),
      localDatacenter: 'dc1',
      keyspace: run,
      ...tls,
      ...(isSecure && {
        user: engines.credentials['cassandra-user'],
        passwordFile: await secret('cassandra-password'),
      }),
    },
    search: {
      kind: 'opensearch',
      nodes: addresses('opensearch').map((address) => `${scheme}://${address}`),
      index: `${run}-users`,
      ...tls,
    },
    objects: {
      kind: 's3',
      endpoint: objects,
      bucket: `${run}-assets`,
      accessKeyFile: await secret('minio-access-key'),
      secretKeyFile: await secret('minio-secret-key'),
      ...tls,
    },
    presence: {
      kind: 'redis',
      sentinels: addresses('sentinel'),
      primaryName,
      prefix: `${run}:`,
      ...tls,
      ...(isSecure && {
        passwordFile: await secret('redis-password'),
        sentinelPasswordFile: await secret('redis-password'),
      }),
    },
    registry: {
      kind: 'etcd',
      hosts: addresses('etcd').map((address) => `${scheme}://${address}`),
      ...tls,
      prefix: `/${run}/`,
      leaseSeconds: 5,
    },
  }
}

/** The jobs that come before the services, as an operator runs them. */
export async function runJobs(
  settings: Readonly<Record<string, unknown>>,
  folder: string,
): Promise<void> {
  const file = join(folder, 'jobs.yaml')
  await writeFile(file, stringify({ data: folder, log: { level: 'warn' }, ...settings }))
  for (const { name } of jobCommands) {
    const args = ['--disable-warning=ExperimentalWarning', 'backend/src/main.mjs', name]
    await promisify(execFile)(process.execPath, [...args, '--config', file], {
      cwd: root,
      timeout: 240_000,
    })
  }
}
