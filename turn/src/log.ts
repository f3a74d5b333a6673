import { pino, type Logger } from 'pino'
import type { Config } from './config.ts'

/** One JSON object a line on stderr. Fields first, then a constant sentence; never what is secret. */
export function createLogger({ level }: Config['log'], base: Record<string, unknown>): Logger {
  return pino(
    {
      level,
      base,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    // Synchronous, so that the last lines before a crash are there.
    pino.destination({ dest: 2, sync: true }),
  )
}
