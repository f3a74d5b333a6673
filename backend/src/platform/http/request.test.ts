import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseQuery, splitTarget } from './request.ts'

describe('a request target', () => {
  it('is split at the first question mark, and an absolute one loses its host', () => {
    expect(splitTarget('/v9/self')).toEqual({ path: '/v9/self', query: '' })
    expect(splitTarget('/a?b=c?d')).toEqual({ path: '/a', query: 'b=c?d' })
    expect(splitTarget('http://host:1/a/b?c')).toEqual({ path: '/a/b', query: 'c' })
    expect(splitTarget('//host/a')).toEqual({ path: '//host/a', query: '' })
    for (const target of ['*', '', 'http://host', 'host:443', 'x', '?a', 'a?b/c://d']) {
      expect(splitTarget(target).path, target).toMatch(/^\//)
    }
  })

  it('is always split into a path that begins with a slash and what comes after', () => {
    const target = fc.oneof(
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc.string(),
      fc.stringMatching(/^[/:?#%a.]{0,20}$/),
    )
    fc.assert(
      fc.property(target, (target) => {
        const { path, query } = splitTarget(target)
        expect(path).toMatch(/^\/[^?]*$/s)
        expect(target.endsWith(query)).toBe(true)
      }),
    )
  })
})

describe('a query', () => {
  it('gives the first value of each name, whatever it is called', () => {
    expect(parseQuery('a=1&a=2&b=%20+&c')).toEqual({ a: '1', b: '  ', c: '' })
    const odd = parseQuery('__proto__=x&constructor=y&toString=z&%00=n')
    expect(Object.keys(odd)).toEqual(['__proto__', 'constructor', 'toString', '\0'])
    expect(odd['hasOwnProperty']).toBeUndefined()
  })

  it('comes back as it was written', () => {
    const pairs = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }))
    fc.assert(
      fc.property(pairs, (pairs) => {
        const formed = Object.entries(pairs).map(([name, value]): [string, string] => [
          name.toWellFormed(),
          value.toWellFormed(),
        ])
        const query = new URLSearchParams(formed).toString()
        const expected = new Map<string, string>()
        for (const [name, value] of formed) {
          if (!expected.has(name)) expected.set(name, value)
        }
        expect(new Map(Object.entries(parseQuery(query)))).toEqual(expected)
      }),
    )
  })

  it('is read whatever stands in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (query) => {
        for (const value of Object.values(parseQuery(query))) expect(typeof value).toBe('string')
      }),
    )
  })
})
