import fc from 'fast-check'
import { z } from 'zod'

// JSON that an endpoint almost takes: made by its schema, then damaged.

/** JSON text that no value of ours would be written as. */
class Verbatim {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** Members in order, names as they are: `__proto__` too, and one name twice. */
class Members {
  readonly entries: (readonly [string, unknown])[]

  constructor(entries: (readonly [string, unknown])[]) {
    this.entries = entries
  }
}

/** Writes values with `Verbatim` and `Members` in them. */
function jsonText(value: unknown): string {
  if (value instanceof Verbatim) return value.text
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = value instanceof Members ? value.entries : Object.entries(value)
  return `{${entries.map(([name, each]) => `${JSON.stringify(name)}:${jsonText(each)}`).join(',')}}`
}

/** Strings that have broken one program or another. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '\0',
    'a\0b',
    '\ud800',
    'x\udc00y',
    '\ufffe\uffff',
    '\u202ea\u2066b',
    '👩‍👩‍👧‍👦'.repeat(40),
    'e\u0301'.repeat(200),
    '__proto__',
    'constructor',
    'hasOwnProperty',
    'toString',
    'null',
    '../../../../etc/passwd',
    '%00%2e%2e%2f',
    "' OR '1'='1'; DROP TABLE brig_users; --",
    '"*" OR NEAR(a b) -c ^d',
    '<script>alert(1)</script>',
    '\u0024{7*7}{{7*7}}',
    'a@b@c',
    `${'a'.repeat(60)}@${'b.'.repeat(90)}example.org`,
    `${'a.'.repeat(3000)}@x`,
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '1e9999',
    '-1',
    '９９',
    '2026-13-45T99:99:99.999Z',
    'a'.repeat(300),
    'a'.repeat(20_000),
    '\\'.repeat(2000),
    '\r\nset-cookie: zuid=x',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
)

const nested = (depth: number): Verbatim => new Verbatim('['.repeat(depth) + ']'.repeat(depth))

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -1,
    1.5,
    2 ** 31,
    -(2 ** 31) - 1,
    2 ** 53,
    Number.MAX_VALUE,
    5e-324,
    new Verbatim('-0'),
    new Verbatim('1e400'),
    new Verbatim('123456789012345678901234567890'),
    [],
    {},
    [[]],
    [null],
    nested(60),
    nested(5000),
    new Verbatim(`[${'0,'.repeat(2000)}0]`),
    new Verbatim(`{${Array.from({ length: 500 }, (_, i) => `"k${String(i)}":{}`).join(',')}}`),
    new Members([['__proto__', { isAdmin: true }]]),
    new Members([
      ['constructor', { prototype: { isAdmin: true } }],
      ['toString', 1],
      ['length', -1],
    ]),
  ),
)

type Json = Readonly<Record<string, unknown>>

/** Values of known things, wherever a schema takes them. */
export type Known = readonly string[]

/** What `schema` takes as input, with known ids where they fit. */
export function fittingValue(schema: z.ZodType, known: Known = []): fc.Arbitrary<unknown> {
  return fitting(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), known)
}

function fitting(schema: Json, known: Known): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema['const'])
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]))
  const choices = (schema['anyOf'] ?? schema['oneOf']) as readonly Json[] | undefined
  if (choices !== undefined) return fc.oneof(...choices.map((each) => fitting(each, known)))
  if (Array.isArray(schema['type'])) {
    return fc.oneof(...schema['type'].map((type: unknown) => fitting({ ...schema, type }, known)))
  }
  const all = schema['allOf'] as readonly Json[] | undefined
  if (all?.[0] !== undefined) return fitting(all[0], known)
  switch (schema['type']) {
    case 'string':
      return fittingText(schema, known)
    case 'integer':
    case 'number':
      return fc.integer({
        min: Math.max(Number(schema['minimum'] ?? 0), -1_000_000),
        max: Math.min(Number(schema['maximum'] ?? 1000), 1_000_000),
      })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(fitting((schema['items'] ?? {}) as Json, known), {
        minLength: Number(schema['minItems'] ?? 0),
        maxLength: Math.max(Number(schema['minItems'] ?? 0), 3),
      })
    case 'object':
      return fittingObject(schema, known)
    case undefined:
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

function fittingText(schema: Json, known: Known): fc.Arbitrary<string> {
  const pattern = typeof schema['pattern'] === 'string' ? new RegExp(schema['pattern'], 'u') : /^/u
  const minLength = Number(schema['minLength'] ?? 0)
  const maxLength = Math.max(minLength, Math.min(Number(schema['maxLength'] ?? 40), 2000))
  const options = known.filter((text) => pattern.test(text) && text.length <= maxLength)
  const made =
    schema['format'] === 'uuid'
      ? fc.uuid()
      : schema['pattern'] === undefined
        ? fc.string({ minLength, maxLength })
        : matching(pattern)
  if (options.length === 0) return made ?? fc.string()
  const existing = fc.constantFrom(...options)
  if (made === undefined) return existing
  return fc.oneof({ arbitrary: existing, weight: 10 }, { arbitrary: made, weight: 1 })
}

/** Not every pattern can be turned around. */
function matching(pattern: RegExp): fc.Arbitrary<string> | undefined {
  try {
    return fc.stringMatching(pattern)
  } catch {
    return undefined
  }
}

function fittingObject(schema: Json, known: Known): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema['properties'] ?? {}) as Readonly<Record<string, Json>>)
  const required = new Set((schema['required'] ?? []) as readonly string[])
  const extra = schema['additionalProperties']
  if (properties.length === 0 && typeof extra === 'object' && extra !== null) {
    const names = fittingText((schema['propertyNames'] ?? {}) as Json, known)
    return fc.dictionary(names, fitting(extra as Json, known), {
      maxKeys: 3,
      noNullPrototype: true,
    })
  }
  return fc.record(
    Object.fromEntries(properties.map(([name, each]) => [name, fitting(each, known)])),
    { requiredKeys: properties.map(([name]) => name).filter((name) => required.has(name)) },
  )
}

/** One thing done to one place of a value. */
interface Damage {
  /** Which place, counted through the whole value, round and round. */
  readonly at: number
  readonly kind: 'replace' | 'remove' | 'add' | 'wrap'
  readonly value: unknown
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.nat({ max: 30 }),
  kind: fc.constantFrom('replace', 'replace', 'remove', 'add', 'wrap'),
  value: hostileValue,
})

function placesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null || value instanceof Verbatim) return 1
  const children = value instanceof Members ? value.entries.map(([, each]) => each) : value
  return Object.values(children).reduce<number>((sum, each) => sum + placesIn(each), 1)
}

const removed = Symbol('removed')

function damaged(value: unknown, { kind, value: hostile, ...rest }: Damage): unknown {
  let left = rest.at % placesIn(value)
  const walk = (each: unknown): unknown => {
    left -= 1
    if (left === -1) {
      if (kind === 'remove') return removed
      if (kind === 'wrap') return [each]
      if (kind === 'replace' || typeof each !== 'object' || each === null) return hostile
      const entries = Array.isArray(each) ? [...each, hostile] : undefined
      return (
        entries ??
        new Members([
          ...entriesOf(each),
          ...(hostile instanceof Members ? hostile.entries : [['extra', hostile] as const]),
        ])
      )
    }
    if (typeof each !== 'object' || each === null || each instanceof Verbatim) return each
    if (Array.isArray(each)) return each.map(walk).filter((item) => item !== removed)
    return new Members(
      entriesOf(each)
        .map(([name, item]) => [name, walk(item)] as const)
        .filter(([, item]) => item !== removed),
    )
  }
  const result = walk(value)
  return result === removed ? null : result
}

function entriesOf(value: object): (readonly [string, unknown])[] {
  return value instanceof Members ? value.entries : Object.entries(value)
}

/** What is wrong with the bytes themselves. */
const byteFault: fc.Arbitrary<(bytes: Buffer) => Buffer> = fc
  .record({
    kind: fc.constantFrom('cut', 'tail', 'not-utf8', 'bom', 'utf-16', 'flip', 'nul'),
    at: fc.nat({ max: 200 }),
  })
  .map(({ kind, at }) =>
    Object.assign(
      (bytes: Buffer): Buffer => {
        const place = bytes.length === 0 ? 0 : at % bytes.length
        switch (kind) {
          case 'cut':
            return bytes.subarray(0, place)
          case 'tail':
            return Buffer.concat([bytes, Buffer.from(' {}')])
          case 'not-utf8':
            return Buffer.concat([bytes.subarray(0, place), Buffer.of(0xc3), bytes.subarray(place)])
          case 'bom':
            return Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), bytes])
          case 'utf-16':
            return Buffer.from(bytes.toString('utf8'), 'utf16le')
          case 'nul':
            return Buffer.concat([bytes.subarray(0, place), Buffer.of(0), bytes.subarray(place)])
          case 'flip': {
            const copy = Buffer.from(bytes)
            if (copy.length > 0) copy[place] = (copy[place] ?? 0) ^ 0x80
            return copy
          }
        }
      },
      { [fc.toStringMethod]: () => `${kind} at ${String(at)}` },
    ),
  )

export const damagedBytes = (whole: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc
    .tuple(whole, fc.option(byteFault, { freq: 1, nil: null }), fc.nat({ max: 5 }))
    .map(([bytes, fault, chance]) => (fault === null || chance > 0 ? bytes : fault(bytes)))

/** Bytes of JSON that is like the value, or almost, or no JSON at all. */
export function hostileJson(fits: fc.Arbitrary<unknown>): fc.Arbitrary<Buffer> {
  const almost = fc
    .tuple(fits, fc.array(damage, { maxLength: 2 }), fc.boolean())
    .map(([value, faults, isWhole]) => (isWhole ? value : faults.reduce(damaged, value)))
  return fc.oneof(
    {
      weight: 14,
      arbitrary: damagedBytes(almost.map((each) => Buffer.from(jsonText(each)))),
    },
    { weight: 1, arbitrary: hostileValue.map((each) => Buffer.from(jsonText(each))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
  )
}
