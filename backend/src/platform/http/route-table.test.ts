import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { between, since, type Method, type Versions } from '../../contract/endpoint.ts'
import { publicApis } from '../../contract/public.ts'
import { RouteTable } from './route-table.ts'

interface Route {
  readonly method: Method
  readonly endpoint: {
    readonly path: string
    readonly versions: Versions
    readonly isUnprefixed?: boolean
  }
}

const route = (path: string, method: Method = 'GET', versions: Versions = since(0)): Route => ({
  method,
  endpoint: { path, versions },
})

const publicRoutes: readonly Route[] = Object.values(publicApis)
  .flat()
  .flatMap((api) => Object.values(api))
  .map((endpoint) => ({ method: endpoint.method, endpoint }))

/** Text as it may stand in a target, well-formed or not. */
const segment = fc.oneof(
  fc.constantFrom(
    '',
    '.',
    '..',
    '%2e%2e',
    '%2f',
    '%',
    '%zz',
    '%c3%28',
    '%00',
    '__proto__',
    ':id',
    '*',
    'i',
    '%69',
    'v9',
    'self',
    'a;b',
    'a#b',
    'a?b',
    'x'.repeat(5000),
  ),
  fc.string({ maxLength: 12 }),
  fc
    .string({ maxLength: 12, unit: 'grapheme' })
    .map((text) => encodeURIComponent(text.toWellFormed())),
)
const anyPath = fc.oneof(
  fc.array(segment, { maxLength: 8 }).map((segments) => `/${segments.join('/')}`),
  fc.string({ maxLength: 40 }),
)

describe('the route table', () => {
  it('finds something or nothing for any method and path', () => {
    const table = new RouteTable(publicRoutes)
    const method = fc.oneof(
      fc.constantFrom('GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', '__proto__', 'constructor', ''),
      fc.string({ maxLength: 8 }),
    )
    fc.assert(
      fc.property(method, anyPath, (method, path) => {
        const match = table.find(method, path)
        if (match.kind === 'found') {
          for (const value of Object.values(match.params)) expect(typeof value).toBe('string')
        } else {
          expect(['not-found', 'method-not-allowed', 'unsupported-version']).toContain(match.kind)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('gives back each parameter as it was before it was encoded', () => {
    const table = new RouteTable([route('/users/{domain}/{user}'), route('/properties/{key}')])
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(text, text, (domain, user) => {
        const encode = (part: string): string => encodeURIComponent(part.toWellFormed())
        const found = table.find('GET', `/v9/users/${encode(domain)}/${encode(user)}`)
        expect(found).toMatchObject({
          kind: 'found',
          params: { domain: domain.toWellFormed(), user: user.toWellFormed() },
        })
      }),
    )
    const long = 'k'.repeat(1024)
    expect(table.find('GET', `/v9/properties/${long}`)).toMatchObject({ params: { key: long } })
  })

  it('knows a version only in its one spelling', () => {
    const table = new RouteTable([route('/self', 'GET', between(9, 12))])
    const kindOf = (path: string): string => table.find('GET', path).kind
    for (const path of ['/v9/self', '/v12/self']) expect(kindOf(path), path).toBe('found')
    for (const path of [
      '/v8/self',
      '/v13/self',
      '/v09/self',
      '/v9.0/self',
      '/V9/self',
      '/v9/v9/self',
      '/v9x/self',
      '/v٩/self',
      '/v+9/self',
    ]) {
      expect(kindOf(path), path).toBe('not-found')
    }
    for (const path of ['/v7/self', '/v0/self', '/v16/self', '/v9999/self', '/self']) {
      expect(kindOf(path), path).toBe('unsupported-version')
    }
  })

  it('finds internal paths as they are, and under no other name', () => {
    const table = new RouteTable([
      route('/i/status'),
      route('/i/users/{user}', 'POST'),
      route('/{a}/{b}'),
    ])
    expect(table.find('GET', '/i/status').kind).toBe('found')
    expect(table.find('POST', '/i/users/x')).toMatchObject({ params: { user: 'x' } })
    const prefix = fc.constantFrom(
      '/v8',
      '/v15',
      '/v0',
      '/v99',
      '/',
      '/.',
      '/v9/..',
      '/v9/v9',
      '/%76%39',
    )
    const inside = fc.constantFrom('/i', '/%69', '/I', '/i%2f', '//i', '/./i', '/x/../i', '/i/.')
    fc.assert(
      fc.property(
        fc.option(prefix, { nil: '' }),
        inside,
        fc.constantFrom('GET', 'POST', 'HEAD'),
        (prefix, inside, method) => {
          fc.pre(prefix + inside !== '/i')
          for (const rest of ['/status', '/users/x']) {
            const match = table.find(method, `${prefix}${inside}${rest}`)
            if (match.kind === 'found') expect(match.route.endpoint.path).not.toMatch(/^\/i\//)
          }
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('refuses two routes that nobody could tell apart', () => {
    expect(() => new RouteTable([route('/a/{x}'), route('/a/{x}')])).toThrow(/declared twice/)
    expect(() => new RouteTable([route('/a/{x}'), route('/a/{y}')])).toThrow(/named differently/)
    const split = [route('/a', 'GET', between(8, 9)), route('/a', 'GET', since(10))]
    const table = new RouteTable(split)
    expect(table.find('GET', '/v9/a')).toMatchObject({ route: split[0] })
    expect(table.find('GET', '/v10/a')).toMatchObject({ route: split[1] })
  })
})
