import { pino, type Logger } from 'pino'

export interface LogConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

/**
 * One JSON object a line on stderr. Fields first, then a constant sentence. Tokens, passwords,
 * keys, message bodies and push payloads are never logged; what slips in by name is cut here.
 */
export function createLogger({ level }: LogConfig): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['password', 'token', 'access_token', 'authorization', 'cookie', 'secret'].flatMap(
          (name) => [name, `*.${name}`],
        ),
        censor: '[cut]',
      },
    },
    // Synchronous, so that the last lines before a crash are there.
    pino.destination({ dest: 2, sync: true }),
  )
}
