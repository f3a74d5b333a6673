import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { catalogueFolder, readCatalogue } from '../catalogue.ts'
import { parseDebianLock } from './debian.ts'
import { checksumsName, differences, parseChecksums } from './maven.ts'
import { runTool } from './tool.ts'

const hash = 'a'.repeat(64)

describe('the locks in the tree', () => {
  it('can be read, each of them', async () => {
    const { parts } = await readCatalogue()
    for (const part of Object.values(parts)) {
      const lock = join(catalogueFolder, part.lock)
      if (part.from === 'maven') {
        const text = await readFile(join(lock, checksumsName), 'utf8')
        expect(parseChecksums(text).size).toBeGreaterThan(50)
        expect(await readFile(join(lock, 'pom.xml'), 'utf8')).toContain(part.version)
      }
      if (part.from === 'debian') {
        expect(parseDebianLock(await readFile(lock, 'utf8'))[0]?.version).toContain(part.version)
      }
      if (part.from === 'pip') {
        expect(await readFile(lock, 'utf8')).toMatch(/==[\d.]+ --hash=sha256:[0-9a-f]{64}/)
        expect(await readFile(lock, 'utf8')).toContain(`==${part.version} `)
      }
      if (part.from === 'go') {
        expect(await readFile(join(lock, 'go.mod'), 'utf8')).toContain(` ${part.version}`)
        expect(await readFile(join(lock, 'go.sum'), 'utf8')).toContain(` ${part.version} h1:`)
      }
    }
  })
})

describe('checksums', () => {
  it('tell a file that is missing, one too many, and one that differs', () => {
    const expected = parseChecksums(`${hash}  lib/a.jar\n${hash}  lib/b.jar\n`)
    const found = new Map([
      ['lib/b.jar', 'b'.repeat(64)],
      ['lib/c.jar', hash],
    ])
    expect(differences(found, expected)).toEqual([
      'lib/a.jar was not fetched',
      'lib/b.jar differs',
      'lib/c.jar is not in the list',
    ])
    expect(differences(expected, expected)).toEqual([])
  })

  it('do not name files outside of the folder', () => {
    expect(() => parseChecksums(`${hash}  /etc/passwd`)).toThrow(/not a line of sha256sum/)
    expect(() => parseChecksums('nonsense')).toThrow(/not a line of sha256sum/)
  })

  it('are read or refused with a sentence', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          for (const sum of parseChecksums(text).values()) expect(sum).toHaveLength(64)
        } catch (error) {
          expect((error as Error).message).toContain('not a line of sha256sum')
        }
      }),
    )
  })
})

describe("Debian's packages", () => {
  it('are listed by release, architecture, name, version and hash', () => {
    const text = `# a comment\n\nbookworm amd64 liblzf1 3.6-3 ${hash}\n`
    expect(parseDebianLock(text)).toEqual([
      {
        release: 'bookworm',
        architecture: 'amd64',
        name: 'liblzf1',
        version: '3.6-3',
        sha256: hash,
      },
    ])
    expect(() => parseDebianLock('bookworm amd64 liblzf1 3.6-3')).toThrow(/liblzf1/)
  })
})

describe('a package client', () => {
  it('that is not there is named together with what to do', async () => {
    await expect(
      runTool('no-such-client', [], { missing: 'install it with apt-get' }),
    ).rejects.toThrow('"no-such-client" is not there: install it with apt-get')
  })

  it('that fails is quoted', async () => {
    await expect(runTool('sh', ['-c', 'echo cannot find it >&2; exit 3'])).rejects.toThrow(
      /ended with 3:\ncannot find it/,
    )
  })
})
