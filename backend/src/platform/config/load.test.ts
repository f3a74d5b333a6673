import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import { ConfigError, parseConfig, readYaml } from './load.ts'

const Schema = z.strictObject({
  domain: z.string(),
  limits: z.strictObject({ clients: z.int().min(1) }).prefault({ clients: 7 }),
})

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tricord-config-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function file(text: string): Promise<string> {
  const path = join(folder, 'tricord.yaml')
  await writeFile(path, text)
  return path
}

it('reads a file and fills in what it does not say', async () => {
  const value = await readYaml(await file('domain: example.org\n'))
  expect(parseConfig(Schema, value, 'x')).toEqual({ domain: 'example.org', limits: { clients: 7 } })
})

it('reports every problem at once, with its path', async () => {
  const value = await readYaml(await file('limits: { clients: 0, colour: red }\nextra: 1\n'))
  const attempt = (): unknown => parseConfig(Schema, value, 'tricord.yaml')
  expect(attempt).toThrow(ConfigError)
  expect(attempt).toThrow(/tricord.yaml is not valid/)
  for (const problem of [
    /domain: /,
    /limits\.clients: /,
    /limits\.colour: there is no such setting/,
    /extra: there is no such setting/,
  ]) {
    expect(attempt).toThrow(problem)
  }
})

it('says so when the file is absent or not YAML', async () => {
  await expect(readYaml(join(folder, 'none.yaml'))).rejects.toThrow(/cannot be read/)
  await expect(readYaml(await file('a: [1, 2\nb: }'))).rejects.toThrow(ConfigError)
  await expect(readYaml(await file('a: 1\na: 2\n'))).rejects.toThrow(/unique/)
})

it('reads any file, or refuses it with a sentence about it', async () => {
  const many = (name: string): string => Array(10).fill(`*${name}`).join(',')
  const text = fc.oneof(
    fc.constantFrom(
      '*unknown',
      '&a [*a]',
      '? {a: b}\n: c',
      '<<: {a: 1}',
      '__proto__: {isAdmin: true}',
      '!!js/function "x"',
      '!!binary "%%"',
      '--- a\n--- b',
      `a: &a [1]\nb: &b [${many('a')}]\nc: &c [${many('b')}]\nd: &d [${many('c')}]\ne: [${many('d')}]`,
      '['.repeat(2000),
      '\0',
      '\t- x',
      '%YAML 9.9\n---\na: 1',
    ),
    fc.json(),
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc.stringMatching(/^[-:?&*!|>%@{}[\], \nab1]{0,30}$/),
  )
  await fc.assert(
    fc.asyncProperty(text, async (text) => {
      const path = await file(text)
      try {
        parseConfig(z.looseObject({ a: z.int().optional() }), await readYaml(path), path)
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError)
        expect((error as Error).message).toContain(path)
      }
    }),
    { numRuns: 300 },
  )
  expect(Object.hasOwn(Object.prototype, 'isAdmin')).toBe(false)
})
