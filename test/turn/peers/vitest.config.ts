import { defineConfig } from 'vitest/config'

/** The relay with other people's programs: coturn and its tools, Chromium. */
export default defineConfig({
  test: {
    name: 'turn',
    pool: 'forks',
    // Packets are counted and calls timed: one file at a time.
    maxWorkers: 1,
    include: ['test/turn/peers/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
})
