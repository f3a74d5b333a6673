import { defineConfig } from 'vitest/config'

/**
 * The scenarios of test/e2e on two processes of each service and real engines, which the environment
 * names (`npm run engines -- env`). Those that start servers of their own are not among them.
 */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    include: ['test/e2e/**/*.test.ts', 'test/engines/**/*.test.ts'],
    exclude: [
      '**/node_modules/**',
      ...['configured', 'limits', 'lost-search-index', 'restart', 'time', 'versions', 'waking'].map(
        (name) => `test/e2e/${name}.test.ts`,
      ),
    ],
    globalSetup: 'test/engines/setup.ts',
  },
})
