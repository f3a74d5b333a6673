import { defineConfig } from 'vitest/config'

/** Of whole processes and their clocks; each may fail once, which is told (`scripts/test-run.ts`). */
const ofProcesses = ['test/hostile/**/*.test.ts', 'test/turn/**/*.test.ts']
const excluded = [
  '**/node_modules/**',
  'test/durability/long/**',
  'test/turn/peers/**',
  'test/faults/**',
]

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'parts',
          include: [
            'backend/src/**/*.test.ts',
            'turn/src/**/*.test.ts',
            'scripts/**/*.test.ts',
            'test/**/*.test.ts',
          ],
          exclude: [...excluded, ...ofProcesses, 'test/e2e/**'],
        },
      },
      {
        extends: true,
        test: { name: 'processes', include: ofProcesses, exclude: excluded, retry: 1 },
      },
      {
        // Apart, so that the processes of its set-up start only when it runs.
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: excluded,
          globalSetup: 'test/e2e/split-setup.ts',
          // Many clients and processes at once: on a busy machine they take their time.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          retry: 1,
        },
      },
    ],
  },
})
