/** Writes docs/configuration.md from the schema; `--check` fails when it is not current. */
import { readFile, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { Config } from '../backend/src/compose/config.ts'

interface Schema {
  type?: string
  description?: string
  default?: unknown
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  enum?: unknown[]
  const?: unknown
  oneOf?: Schema[]
  anyOf?: Schema[]
  additionalProperties?: Schema | boolean
}

const rows: string[] = []

function shown(value: unknown): string {
  return value === undefined ? '' : `\`${JSON.stringify(value)}\``
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(', ')
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`
  return schema.type ?? 'text'
}

function walk(path: string, schema: Schema): void {
  const kinds = schema.oneOf ?? schema.anyOf
  if (kinds !== undefined) {
    const names = kinds.map((kind) => JSON.stringify(kind.properties?.['kind']?.const))
    row(path, `one of the kinds ${names.join(', ')}`, schema)
    for (const kind of kinds) {
      for (const [name, property] of Object.entries(kind.properties ?? {})) {
        if (name !== 'kind')
          walk(`${path}.${name} (${String(kind.properties?.['kind']?.const)})`, property)
      }
    }
    return
  }
  if (schema.properties === undefined) {
    row(path, typeOf(schema), schema)
    return
  }
  if (schema.description !== undefined) row(path, '', schema)
  for (const [name, property] of Object.entries(schema.properties)) {
    walk(path === '' ? name : `${path}.${name}`, property)
  }
}

function row(path: string, type: string, schema: Schema): void {
  const text = shown(schema.default)
  const cells = [`\`${path}\``, type, text.length > 60 ? '' : text, schema.description ?? '']
  rows.push(`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
}

const schema = z.toJSONSchema(Config, { io: 'input', unrepresentable: 'any', reused: 'inline' })
walk('', schema as Schema)
const text = `# Configuration

One YAML file, named by \`--config\`. Every setting has a default, so an empty file is a valid one; a file with mistakes is refused with
all of them at once. \`--domain\`, \`--listen\`, \`--operator-listen\` and \`--data\` on the command line win over the file. Secrets stand in files
of their own, which the configuration names.

Made from the schema by \`npm run configuration\`.

| setting | values | default | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}
`
const file = new URL('../docs/configuration.md', import.meta.url)
if (process.argv.includes('--check')) {
  if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    console.error('docs/configuration.md is not current. Run "npm run configuration".')
    process.exitCode = 1
  } else {
    console.log('the configuration page is current')
  }
} else {
  await writeFile(file, text)
}
