import { defineConfig } from 'vitest/config'

// oxlint-disable-next-line import/no-default-export -- vitest asks for it
export default defineConfig({
  test: {
    include: [
      ...['cassandra', 'opensearch', 's3', 'redis', 'etcd'].map(
        (adapter) => `backend/src/adapters/${adapter}/**/*.test.ts`,
      ),
      'test/engines/**/*.test.ts',
    ],
    pool: 'forks',
    // They wait more than they work: for engines that are frozen, and for what expires.
    maxWorkers: 4,
    // Three nodes of everything on two cores: a limit is for what hangs, not for what is slow.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
