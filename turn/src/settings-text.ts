import { z } from 'zod'
import { Config } from './config.ts'

interface JsonSchema {
  readonly description?: string
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
}

/** Every setting on a line: its path, its default, what it means. */
export function describeSettings(): string {
  const schema = z.toJSONSchema(Config, { unrepresentable: 'any', io: 'input' }) as JsonSchema
  return `${linesOf(schema, '').join('\n')}\n`
}

function linesOf(schema: JsonSchema, path: string): string[] {
  const lines: string[] = []
  const { description, default: byDefault } = schema
  if (path !== '' && description !== undefined) {
    const isScalar = byDefault !== undefined && JSON.stringify(byDefault) !== '{}'
    lines.push(`${path}${isScalar ? ` (${JSON.stringify(byDefault)})` : ''}\n    ${description}`)
  }
  for (const choice of [schema, ...(schema.anyOf ?? [])]) {
    for (const [name, property] of Object.entries(choice.properties ?? {})) {
      lines.push(...linesOf(property, path === '' ? name : `${path}.${name}`))
    }
    if (choice.items !== undefined) lines.push(...linesOf(choice.items, `${path}[]`))
  }
  return lines
}
