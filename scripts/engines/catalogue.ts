/** Reads `engines/catalogue.yaml`: which parts there are, at which version, locked by which files. */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'

const common = {
  version: z.string().min(1),
  /** File or folder beside the catalogue that holds the hashes of what is fetched. */
  lock: z.string().regex(/^[a-z0-9][a-z0-9./-]*$/),
  licence: z.string().min(1),
}

const Part = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('pip'), ...common }),
  z.strictObject({ from: z.literal('maven'), ...common }),
  z.strictObject({
    from: z.literal('go'),
    ...common,
    /** Name of the program to the package that it is built from. */
    programs: z.record(z.string(), z.string()),
  }),
  z.strictObject({ from: z.literal('debian'), ...common }),
])
export type Part = z.infer<typeof Part>

const Catalogue = z.strictObject({ parts: z.record(z.string(), Part) })
export type Catalogue = z.infer<typeof Catalogue>

/** Throws a sentence that names the file and every mistake in it. */
export function parseCatalogue(text: string): Catalogue {
  const result = Catalogue.safeParse(parse(text, { logLevel: 'error' }))
  if (result.success) return result.data
  throw new Error(`engines/catalogue.yaml is not well-formed:\n${z.prettifyError(result.error)}`)
}

export const catalogueFolder = join(import.meta.dirname, '../../engines')

export async function readCatalogue(): Promise<Catalogue> {
  return parseCatalogue(await readFile(join(catalogueFolder, 'catalogue.yaml'), 'utf8'))
}

export function partOf(catalogue: Catalogue, name: string): Part {
  const part = catalogue.parts[name]
  if (part === undefined) throw new Error(`engines/catalogue.yaml has no part "${name}"`)
  return part
}

/** Hash of the part's entry and of its lock: what is cached under it is what the lock says. */
export async function partKey(name: string, part: Part): Promise<string> {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([name, part, process.platform, process.arch]))
  const lock = join(catalogueFolder, part.lock)
  const files = (await stat(lock)).isDirectory()
    ? (await readdir(lock, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
    : [lock]
  for (const file of files) {
    hash.update(`\0${file.slice(lock.length)}\0`)
    hash.update(await readFile(file))
  }
  return hash.digest('hex').slice(0, 12)
}
