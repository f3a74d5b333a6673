import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCatalogue, partKey, partOf, readCatalogue } from './catalogue.ts'
import { engines } from './kinds/all.ts'

const part = `
parts:
  etcd:
    from: go
    version: v3.6.16
    lock: go/etcd
    licence: Apache-2.0
    programs:
      etcd: go.etcd.io/etcd/server/v3
`

describe('the catalogue', () => {
  it('holds every part that an engine needs', async () => {
    const catalogue = await readCatalogue()
    for (const engine of Object.values(engines)) {
      for (const name of engine.parts) expect(partOf(catalogue, name).version).not.toBe('')
    }
  })

  it('has a lock beside it for every part', async () => {
    const catalogue = await readCatalogue()
    const keys = await Promise.all(
      Object.entries(catalogue.parts).map(([name, one]) => partKey(name, one)),
    )
    expect(new Set(keys).size).toBe(Object.keys(catalogue.parts).length)
  })

  it('keeps another version of a part in another place', async () => {
    const texts = [part, part.replace('v3.6.16', 'v3.6.17'), part]
    const keys = await Promise.all(
      texts.map((text) => partKey('etcd', partOf(parseCatalogue(text), 'etcd'))),
    )
    expect(keys[0]).not.toBe(keys[1])
    expect(keys[0]).toBe(keys[2])
  })

  it('names the place of every mistake', () => {
    const text = part.replace('from: go', 'from: somewhere')
    expect(() => parseCatalogue(text)).toThrow(/catalogue\.yaml[\s\S]*parts\.etcd/)
  })

  it('does not let a lock lie outside of its folder', () => {
    expect(() => parseCatalogue(part.replace('go/etcd', '/etc/passwd'))).toThrow(
      /parts\.etcd\.lock/,
    )
  })

  it('is refused with a sentence, whatever stands in it', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(parseCatalogue(text)).toHaveProperty('parts')
        } catch (error) {
          expect((error as Error).message).not.toBe('')
        }
      }),
    )
  })
})
