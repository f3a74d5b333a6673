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

export const variablesOf = (running: RunningEngines): Record<string, string> =>
  Object.fromEntries(
    Object.values(running.engines).map(({ name, addresses }) => [
      variables[name],
      addresses.join(','),
    ]),
  )

export function environmentOf(running: RunningEngines): string {
  return Object.entries(variablesOf(running))
    .map(([variable, addresses]) => `export ${variable}=${addresses}\n`)
    .join('')
}
