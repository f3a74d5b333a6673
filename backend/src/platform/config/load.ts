import { readFile } from 'node:fs/promises'
import type { z } from 'zod'

/** The configuration is wrong; the message lists every problem with its path. */
export class ConfigError extends Error {
  constructor(source: string, problems: readonly string[]) {
    super(`${source} is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
  }
}

/** Reads a YAML file; an absent `path` counts as an empty file. */
export async function readYaml(path: string | undefined): Promise<unknown> {
  if (path === undefined) return {}
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(path, [`cannot be read: ${reason}`])
  }
  const { parseDocument } = await import('yaml')
  const document = parseDocument(text, { uniqueKeys: true })
  if (document.errors.length > 0) {
    throw new ConfigError(
      path,
      document.errors.map((error) => error.message.split('\n')[0] ?? 'not YAML'),
    )
  }
  try {
    return document.toJS() ?? {}
  } catch (error) {
    // Aliases of nothing, or too many of them.
    throw new ConfigError(path, [error instanceof Error ? error.message : String(error)])
  }
}

/** Parses a configuration and reports all that is wrong with it at once. */
export function parseConfig<S extends z.ZodType>(
  schema: S,
  value: unknown,
  source: string,
): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ConfigError(source, parsed.error.issues.flatMap(sentences))
}

function sentences(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map(String).join('.')
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${at(key)}: there is no such setting`)
  }
  return [`${path === '' ? 'the file' : path}: ${issue.message}`]
}
