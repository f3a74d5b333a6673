/** The addresses as environment variables, for tests that run against engines which are up already. */
import type { EngineName } from './engine.ts'
import type { RunningEngines } from './start.ts'

const variables: Readonly<Record<EngineName, string>> = {
  cassandra: 'TEST_CASSANDRA',
  opensearch: 'TEST_OPENSEARCH',
  minio: 'TEST_MINIO',
  redis: 'TEST_REDIS',
  sentinel: 'TEST_SENTINEL',
  etcd: 'TEST_ETCD',
}

export function environmentOf(running: RunningEngines): string {
  return Object.values(running.engines)
    .map((engine) => `export ${variables[engine.name]}=${engine.addresses.join(',')}\n`)
    .join('')
}
