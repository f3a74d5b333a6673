import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
