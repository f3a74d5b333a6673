import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { z } from 'zod'
import type { EndpointDeclaration } from '../../backend/src/contract/endpoint.ts'
import { newestVersion, oldestVersion } from '../../backend/src/contract/endpoint.ts'
import { isSchema } from '../../backend/src/platform/http/serve.ts'
import { assetBody } from '../support/wire/asset-body.ts'
import { encodeOtrMessage } from '../support/wire/otr-message.ts'
import type { HostileRequest } from './http.ts'
import { damagedBytes, fittingValue, hostileJson, hostileText, type Known } from './json.ts'
import { newDeviceKeys } from '../support/wire/prekeys.ts'
import { password, type Tokens, type World } from './world.ts'

// Requests for one endpoint: right enough to come far, wrong enough to hurt.

/** Ids and names of things that exist; those that open more doors come more often. */
export const knownOf = (world: World): Known => [
  ...Array<string>(6).fill(world.domain),
  'elsewhere.example',
  ...[world.alice, world.bob, world.mallory].flatMap(({ user, device }) => [user.id, device ?? '']),
  ...Array<string>(3).fill(world.group.id),
  world.asset.key,
  world.asset.token ?? 'none',
  world.property,
  world.notification,
  world.guestLink.key,
  world.guestLink.code,
  password,
  'someone@example.org',
  'en-GB',
]

/** Bodies that no schema describes in full. */
const wholeBodies = new Map<string, () => unknown>([
  ['POST /clients', () => ({ type: 'permanent', ...newDeviceKeys(3), password })],
  ['PUT /clients/{client}', () => ({ ...newDeviceKeys(3), capabilities: [] })],
  ['POST /login', () => ({ handle: 'nobody', password })],
])

const hostileSegment: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '',
    '%',
    '%zz',
    '%c3%28',
    '%ff%fe',
    '%00',
    '..',
    '%2e%2e',
    '%2e%2e%2f%2e%2e%2fi%2fpush',
    '%2f',
    '%5c',
    '%3f%23',
    ';',
    '*',
    ':id',
    '{id}',
    '%7Bid%7D',
    '%0d%0ax-evil:%201',
    '__proto__',
    '%f0%9f%a4%a6',
    'x'.repeat(5000),
    '%41'.repeat(1500),
  ),
  hostileText.map((text) => encodeURIComponent(text.toWellFormed()).slice(0, 6000)),
)

function pathOf(declaration: EndpointDeclaration, known: Known): fc.Arbitrary<string> {
  const version = fc.oneof(
    {
      weight: 40,
      arbitrary: fc
        .integer({
          min: Math.max(declaration.versions.first, oldestVersion),
          max: Math.min(declaration.versions.last, newestVersion),
        })
        .map((number) => `/v${String(number)}`),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom('', '/v0', '/v7', '/v16', '/v-1', '/V9', '/v9/v9', '/'),
    },
  )
  const segments = declaration.path.split('/').slice(1)
  const parts = segments.map((segment) => {
    const name = /^\{(.+)\}$/.exec(segment)?.[1]
    if (name === undefined) return fc.constant(segment)
    const schema =
      declaration.params instanceof z.ZodObject
        ? (declaration.params.shape as Readonly<Record<string, z.ZodType>>)[name]
        : undefined
    const fits = fittingValue(schema ?? z.string(), known).map((value) =>
      encodeURIComponent(String(value).toWellFormed()),
    )
    return fc.oneof({ weight: 20, arbitrary: fits }, { weight: 1, arbitrary: hostileSegment })
  })
  const tail = fc.oneof(
    { weight: 50, arbitrary: fc.constant('') },
    { weight: 1, arbitrary: fc.constantFrom('/', '//', '/..', '%20', '#x', ';x=1', '/./') },
  )
  return fc
    .tuple(version, fc.tuple(...parts), tail)
    .map(([prefix, path, end]) => `${prefix}/${path.join('/')}${end}`)
}

function queryOf(declaration: EndpointDeclaration, known: Known): fc.Arbitrary<string> {
  const fits = (
    declaration.query === undefined ? fc.constant({}) : fittingValue(declaration.query, known)
  ).map((value) =>
    Object.entries(value as Record<string, unknown>).map(
      ([name, each]) => `${name}=${encodeURIComponent(String(each).toWellFormed())}`,
    ),
  )
  const names =
    declaration.query instanceof z.ZodObject ? Object.keys(declaration.query.shape) : ['a']
  const noise = fc.array(
    fc.oneof(
      fc
        .tuple(fc.constantFrom(...names, 'access_token', '__proto__'), hostileSegment)
        .map(([name, value]) => `${name}=${value.replaceAll(/[#&]/g, '')}`),
      fc.constantFrom('%', '&&&', '=', 'a[b]=c', '?', '%00=%00', '+'),
    ),
    { maxLength: 2 },
  )
  return fc
    .tuple(
      fits,
      fc.oneof({ weight: 5, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: noise }),
    )
    .map(([first, second]) => {
      const text = [...second, ...first].join('&')
      return text === '' ? '' : `?${text}`
    })
}

interface SentBody {
  readonly bytes: Buffer | undefined
  readonly type: string | undefined
}

const ids = (known: Known, shape: RegExp): fc.Arbitrary<string> =>
  fc.constantFrom(...known.filter((text) => shape.test(text)))

function otrBody(known: Known): fc.Arbitrary<Buffer> {
  const user = ids(known, /^[0-9a-f]{8}-/)
  const device = fc.oneof(
    { weight: 8, arbitrary: ids(known, /^[0-9a-f]{1,16}$/) },
    { weight: 1, arbitrary: fc.constantFrom('0', 'ffff') },
  )
  const domain = fc.oneof(
    { weight: 8, arbitrary: ids(known, /^[a-z]+\.[a-z]+$/) },
    { weight: 1, arbitrary: fc.constantFrom('', 'é', 'x'.repeat(300)) },
  )
  const text = fc.uint8Array({ maxLength: 50 })
  return fc
    .record(
      {
        sender: device,
        recipients: fc.dictionary(
          domain,
          fc.dictionary(user, fc.dictionary(device, text, { maxKeys: 3 }), { maxKeys: 3 }),
          { maxKeys: 2 },
        ),
        blob: text,
        transient: fc.boolean(),
        nativePush: fc.boolean(),
        priority: fc.constantFrom('low' as const, 'high' as const),
        strategy: fc.oneof(
          fc.constantFrom('report-all' as const, 'ignore-all' as const, undefined),
          fc.record({
            reportOnly: fc.array(fc.record({ id: user, domain }), { maxLength: 3 }),
          }),
        ),
      },
      { requiredKeys: ['sender', 'recipients', 'strategy'] },
    )
    .map((message) => Buffer.from(encodeOtrMessage(message)))
}

const UnqualifiedMessage = z.object({
  sender: z.string().regex(/^[0-9a-f]{1,16}$/),
  recipients: z.record(
    z.guid(),
    z.record(z.string().regex(/^[0-9a-f]{1,16}$/), z.string().regex(/^[A-Za-z0-9+/]{4}$/)),
  ),
  data: z.string().optional(),
  transient: z.boolean().optional(),
  native_push: z.boolean().optional(),
  native_priority: z.enum(['low', 'high']).optional(),
  report_missing: z.array(z.guid()).optional(),
})

const uploadBody: fc.Arbitrary<SentBody> = fc
  .record({
    bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }),
    isPublic: fc.boolean(),
    fileName: hostileText,
    sizeBytes: fc.constantFrom('valid', 'valid', 'valid', 0, 1, 299, 1e9, 1e14),
    md5: fc.constantFrom('valid', 'valid', undefined, '', '%%%', 'AAAAAAAAAAAAAAAAAAAAAA=='),
  })
  .map(({ sizeBytes, md5, ...upload }) => {
    const { contentType, body } = assetBody({
      ...upload,
      boundary: 'frontier',
      claimed: {
        ...(typeof sizeBytes === 'string' ? {} : { sizeBytes }),
        ...(md5 === 'valid' ? {} : { md5 }),
      },
    })
    return { bytes: Buffer.from(body), type: contentType }
  })

const noBody: SentBody = { bytes: undefined, type: undefined }
const wrongBody: fc.Arbitrary<SentBody> = fc.constantFrom<SentBody>(
  noBody,
  { bytes: Buffer.alloc(0), type: 'application/json' },
  { bytes: Buffer.from('{}'), type: 'text/plain' },
  { bytes: Buffer.from('{}'), type: 'application/json; charset=utf-16' },
  { bytes: Buffer.from('a=b'), type: 'application/x-www-form-urlencoded' },
  { bytes: Buffer.from('{}'), type: ';;;' },
  { bytes: Buffer.alloc(2000, 0x8f), type: 'application/x-protobuf' },
  { bytes: Buffer.alloc(600 * 1024, ' '), type: 'application/json' },
  { bytes: Buffer.from(`{"a":${'['.repeat(100_000)}`), type: 'application/json' },
)

function bodyOf(declaration: EndpointDeclaration, known: Known): fc.Arbitrary<SentBody> {
  const { body, method, path } = declaration
  if (body === undefined) {
    return fc.oneof(
      { weight: 6, arbitrary: fc.constant(noBody) },
      { weight: 1, arbitrary: wrongBody },
    )
  }
  return fc.oneof({ weight: 16, arbitrary: almost() }, { weight: 1, arbitrary: wrongBody })

  function almost(): fc.Arbitrary<SentBody> {
    if (body === undefined) return fc.constant(noBody)
    if (isSchema(body)) {
      const whole = wholeBodies.get(`${method} ${path}`)
      const fits = fittingValue(body, known)
      return json(whole === undefined ? fits : fc.oneof(fc.constant(null).map(whole), fits))
    }
    switch (body.kind) {
      case 'json-text':
        return json(fc.jsonValue())
      case 'bytes':
        return typed(
          fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each)),
          body.types[0] ?? '',
        )
      case 'decoded':
        return body.types.includes('application/json')
          ? fc.oneof(
              typed(damagedBytes(otrBody(known)), 'application/x-protobuf'),
              json(fittingValue(UnqualifiedMessage, known)),
            )
          : typed(damagedBytes(otrBody(known)), 'application/x-protobuf')
      case 'stream':
        return uploadBody.chain(({ bytes, type }) =>
          damagedBytes(fc.constant(bytes ?? Buffer.alloc(0))).map((damaged) => ({
            bytes: damaged,
            type,
          })),
        )
    }
  }
}

const typed = (bytes: fc.Arbitrary<Buffer>, type: string): fc.Arbitrary<SentBody> =>
  bytes.map((each) => ({ bytes: each, type }))
const json = (fits: fc.Arbitrary<unknown>): fc.Arbitrary<SentBody> =>
  typed(hostileJson(fits), 'application/json')

interface Encoding {
  readonly name: string | undefined
  readonly encode: (bytes: Buffer) => Buffer
}

const encodings: fc.Arbitrary<Encoding> = fc.oneof(
  { weight: 12, arbitrary: fc.constant({ name: undefined, encode: (bytes: Buffer) => bytes }) },
  {
    weight: 2,
    arbitrary: fc.constant({ name: 'gzip', encode: (bytes: Buffer) => gzipSync(bytes) }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Encoding[]>(
      { name: 'gzip', encode: (bytes) => bytes },
      { name: 'gzip', encode: (bytes) => gzipSync(bytes).subarray(0, -6) },
      { name: 'gzip', encode: (bytes) => Buffer.concat([gzipSync(bytes), gzipSync(bytes)]) },
      { name: 'gzip', encode: (bytes) => Buffer.concat([gzipSync(bytes), Buffer.from('tail')]) },
      { name: 'gzip, gzip', encode: (bytes) => gzipSync(gzipSync(bytes)) },
      { name: 'br', encode: (bytes) => bytes },
      { name: 'deflate', encode: (bytes) => bytes },
      { name: 'identity', encode: (bytes) => bytes },
      { name: 'x'.repeat(200), encode: (bytes) => bytes },
    ),
  },
)

const hostileHeaders: fc.Arbitrary<Readonly<Record<string, string>>> = fc.oneof(
  { weight: 12, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Readonly<Record<string, string>>[]>(
      { 'x-forwarded-for': '::1, , %, 999.1.1.1, fe80::1%eth0' },
      { 'x-http-method-override': 'DELETE' },
      { cookie: 'zuid=; zuid="; zuid=a=b=c; __proto__=1; ;;;' },
      { cookie: `zuid=${'x'.repeat(8000)}` },
      { origin: 'https://evil.example', 'access-control-request-method': 'DELETE' },
      { range: 'bytes=0-0,-1,5-2', 'if-none-match': '*' },
      { 'accept-encoding': 'gzip;q=9, \xff', accept: '*/*;q=x' },
      { 'request-id': '../../x\xe4' },
      { 'content-md5': 'x', te: 'trailers', connection: 'keep-alive, x-evil' },
      { authorization: 'Basic YTpi' },
      { authorization: 'Bearer' },
      { authorization: `Bearer ${'.'.repeat(10_000)}` },
      { host: '' },
      { 'asset-token': 'x'.repeat(300) },
    ),
  },
)

export interface Aim {
  readonly declaration: EndpointDeclaration
  readonly world: World
  readonly tokens: Tokens
}

export function hostileRequest({ declaration, world, tokens }: Aim): fc.Arbitrary<HostileRequest> {
  const known = knownOf(world)
  const token = fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom<(string | undefined)[]>(...tokens.valid) },
    { weight: 1, arbitrary: fc.constantFrom(undefined, ...tokens.bad) },
  )
  return fc
    .record({
      path: pathOf(declaration, known),
      query: queryOf(declaration, known),
      body: bodyOf(declaration, known),
      encoding: encodings,
      isChunked: fc.boolean(),
      extra: hostileHeaders,
      token,
    })
    .map(({ path, query, body, encoding, isChunked, extra, token }) => {
      const bytes = body.bytes === undefined ? undefined : encoding.encode(body.bytes)
      const headers: Record<string, string> = {}
      if (token !== undefined) headers['authorization'] = `Bearer ${token}`
      if (body.type !== undefined) headers['content-type'] = body.type
      if (bytes !== undefined && encoding.name !== undefined) {
        headers['content-encoding'] = encoding.name
      }
      const request: HostileRequest = {
        method: declaration.method,
        // What is not ASCII is no HTTP, and refused before anybody looks at it.
        target: `${path}${query}`.replaceAll(/[^\x21-\x7e]/g, '%20'),
        headers: { ...headers, ...extra },
      }
      return bytes === undefined ? request : Object.assign(request, { body: bytes, isChunked })
    })
}
