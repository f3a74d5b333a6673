/** Runs one of the package ecosystems' own clients and says what to do when it is not there. */
import { spawn } from 'node:child_process'

export interface ToolOptions {
  cwd?: string
  env?: Readonly<Record<string, string>>
  signal?: AbortSignal | undefined
  /** What to tell a person whose machine lacks the program. */
  missing?: string
}

/** Resolves with stdout. Rejects with the last lines of what the program said. */
export function runTool(
  program: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: options.signal,
    })
    let stdout = ''
    let all = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      all = (all + text).slice(-4000)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      all = (all + text).slice(-4000)
    })
    child.on('error', (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === 'ENOENT' && options.missing !== undefined
      reject(
        isMissing
          ? new Error(`"${program}" is not there: ${options.missing}`, { cause: error })
          : new Error(`${program}: ${error.message}`, { cause: error }),
      )
    })
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout)
      else {
        const how = code === null ? `was ended by ${String(signal)}` : `ended with ${String(code)}`
        reject(new Error(`${program} ${args.slice(0, 3).join(' ')} ... ${how}:\n${all.trim()}`))
      }
    })
  })
}
