import { defineConfig } from 'vitest/config'

// oxlint-disable-next-line import/no-default-export -- vitest asks for it
export default defineConfig({
  test: {
    // What is played on servers of a file's own, in this process, has nothing to do with engines.
    include: ['test/e2e/**/*.test.ts'],
    exclude: ['limits', 'restart', 'configured', 'time', 'versions', 'lost-search-index'].map(
      (name) => `test/e2e/${name}.test.ts`,
    ),
    globalSetup: 'test/engines/cluster-setup.ts',
    pool: 'forks',
    maxWorkers: 2,
    // Fifty people on a dozen processes and as many engines take their time on a small machine.
    testTimeout: 240_000,
    hookTimeout: 60_000,
  },
})
