import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { z } from 'zod'
import { decodePosition, encodePosition } from '../../backend/src/adapters/sqlite/page-token.ts'
import { MalformedBody } from '../../backend/src/contract/endpoint.ts'
import { ApiError } from '../../backend/src/contract/error.ts'
import { EventsReply } from '../../backend/src/contract/events/notification.ts'
import {
  decodeOtrMessage,
  decodeUnqualifiedOtrMessage,
} from '../../backend/src/contract/proteus/otr-message.ts'
import { ConfigError, parseConfig, readYaml } from '../../backend/src/platform/config/load.ts'
import { readJson } from '../../backend/src/platform/http/body.ts'
import { MultipartError, readAssetUpload } from '../../backend/src/platform/http/multipart-mixed.ts'
import { clientAddress, limitKey, parseNetworks } from '../../backend/src/platform/http/networks.ts'
import { parseQuery, splitTarget } from '../../backend/src/platform/http/request.ts'
import { RouteTable } from '../../backend/src/platform/http/route-table.ts'
import { compareTimeUuid, ticksOf } from '../../backend/src/platform/time-uuid.ts'
import {
  readFrames,
  type ClientFrame,
  type Unfinished,
} from '../../backend/src/platform/ws/frame-reader.ts'
import { formatToken, parseToken } from '../../backend/src/platform/zauth/token.ts'
import { MalformedPage } from '../../backend/src/ports/wide-column.ts'
import { parseEmail } from '../../backend/src/services/brig/rules/email-address.ts'
import { parsePagingState } from '../../backend/src/services/brig/rules/paging-state.ts'
import { checkPrekey } from '../../backend/src/services/brig/rules/prekey.ts'
import { readBearer, readZuidCookies } from '../../backend/src/services/brig/rules/zuid-cookie.ts'
import { readPagingState } from '../../backend/src/services/galley/rules/paging-state.ts'
import { publicEndpoints } from '../hostile/endpoints.ts'
import { damagedBytes, hostileJson, hostileText } from '../hostile/json.ts'
import { assetBody } from '../support/wire/asset-body.ts'
import { encodeOtrMessage } from '../support/wire/otr-message.ts'
import { newPrekey, newPublicKey } from '../support/wire/prekeys.ts'

export type Property = fc.IProperty<unknown> | fc.IAsyncProperty<unknown>

/** What must hold of any input; fast-check finds one of which it does not. */
export interface FuzzTarget {
  readonly name: string
  readonly summary: string
  readonly property: () => Property
}

/** Bytes near to what a parser takes: damaged in several places, or cut together anew. */
const near = (whole: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc.oneof(
    { weight: 6, arbitrary: damagedBytes(damagedBytes(damagedBytes(whole))) },
    { weight: 2, arbitrary: spliced(whole) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  )

const spliced = (whole: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc
    .tuple(whole, whole, fc.nat({ max: 500 }), fc.nat({ max: 500 }))
    .map(([first, second, end, start]) =>
      Buffer.concat([
        first.subarray(0, end % (first.length + 1)),
        second.subarray(start % (second.length + 1)),
      ]),
    )

/** Runs `parse`; nothing but the errors that it is meant to throw may come out. */
function only<T>(expected: (error: unknown) => boolean, parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (expected(error)) return undefined
    throw error
  }
}

function require(isTrue: boolean, sentence: string): void {
  if (!isTrue) throw new Error(sentence)
}

const isBadRequest = (error: unknown): boolean =>
  error instanceof ApiError && error.declaration.status === 400
const isMalformedBody = (error: unknown): boolean => error instanceof MalformedBody

const uuids = [
  '00000000-0000-4000-8000-000000000001',
  'ffffffff-ffff-4fff-bfff-ffffffffffff',
  '11111111-1111-1111-9111-111111111111',
]

const otrMessage = fc
  .record({
    sender: fc.constantFrom('1', 'ffffffffffffffff', 'abc'),
    recipients: fc.dictionary(
      fc.constantFrom('a.example', 'b.example', ''),
      fc.dictionary(
        fc.constantFrom(...uuids),
        fc.dictionary(fc.constantFrom('1', 'f'), fc.uint8Array({ maxLength: 9 }), { maxKeys: 2 }),
        { maxKeys: 2 },
      ),
      { maxKeys: 2 },
    ),
    blob: fc.uint8Array({ maxLength: 9 }),
    transient: fc.boolean(),
    priority: fc.constantFrom('low' as const, 'high' as const),
    strategy: fc.constantFrom('report-all' as const, 'ignore-all' as const, undefined),
  })
  .map((message) => Buffer.from(encodeOtrMessage(message)))

const unqualifiedJson = hostileJson(
  fc.record({
    sender: fc.constantFrom('1', 'abc'),
    recipients: fc.dictionary(
      fc.constantFrom(...uuids),
      fc.dictionary(fc.constantFrom('1', 'f'), fc.base64String({ maxLength: 12 })),
    ),
    data: fc.base64String({ maxLength: 12 }),
    report_missing: fc.subarray(uuids),
  }),
)

async function* inPieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let index = 0; at < bytes.length; index += 1) {
    const size = sizes.length === 0 ? bytes.length : (sizes[index % sizes.length] ?? 1) + 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

function framesIn(chunks: readonly Buffer[]): string[] {
  const found: string[] = []
  const hasEnded = (): boolean => found.at(-1)?.startsWith('end') === true
  const taker = {
    takeFrame(frame: ClientFrame): void {
      if (hasEnded()) return
      if (frame.kind === 'pong') found.push('pong')
      else if ('bytes' in frame) found.push(`${frame.kind} ${frame.bytes.toString('hex')}`)
      else found.push(`end ${String(frame.code)}`)
    },
  }
  let unfinished: Unfinished | undefined
  for (const chunk of chunks) {
    if (!hasEnded()) unfinished = readFrames(Buffer.from(chunk), unfinished, 1000, taker)
  }
  return found
}

const frame = fc
  .record({
    first: fc.oneof(fc.constantFrom(0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8a), fc.nat(255)),
    isMasked: fc.oneof({ weight: 30, arbitrary: fc.constant(true) }, fc.constant(false)),
    payload: fc.uint8Array({ maxLength: 125 }),
  })
  .map(({ first, isMasked, payload }) =>
    isMasked
      ? Buffer.from([first, 0x80 | payload.length, 0, 0, 0, 0, ...payload])
      : Buffer.from([first, payload.length, ...payload]),
  )

const token = fc
  .record({
    signature: fc.constantFrom('A'.repeat(86), 'B'.repeat(85) + 'A'),
    fields: fc.array(
      fc.oneof(
        fc.constantFrom(
          'v=1',
          'k=1',
          'd=-1',
          'd=9',
          't=a',
          't=u',
          't=la',
          'l=',
          'l=s',
          'r=1',
          'c=1',
        ),
        fc.constantFrom(
          `u=${uuids[0] ?? ''}`,
          `p=${uuids[1] ?? ''}`,
          'i=abc',
          'i=0abc',
          'k=01',
          'c=01',
        ),
        fc.string({ maxLength: 6 }),
      ),
      { maxLength: 9 },
    ),
  })
  .map(({ signature, fields }) => `${signature}==.${fields.join('.')}`)

const columns = (['timeuuid', 'bigint', 'text', 'blob'] as const).map((type) => ({
  name: type,
  type,
  isOptional: false,
}))

const targetText = fc.oneof(
  fc.webUrl({ withQueryParameters: true, withFragments: true }),
  fc.stringMatching(/^[/:?#%a.&=+*]{0,40}$/),
  fc.string({ unit: 'binary', maxLength: 60 }),
)

const routeTable = new RouteTable(
  publicEndpoints.map(({ declaration }) => ({ endpoint: declaration, method: declaration.method })),
)
const proxies = parseNetworks(['10.0.0.0/8', 'fd00::/8'])

export const parserTargets: readonly FuzzTarget[] = [
  {
    name: 'json',
    summary: 'bodies of JSON: a value, or 400',
    property: () =>
      fc.property(hostileJson(fc.jsonValue()), (bytes) => {
        const read = only(isBadRequest, () => readJson(bytes, { maxValues: 1000 }))
        if (read !== undefined) {
          require(isDeepStrictEqual(JSON.parse(read.text), read.value), 'text and value differ')
        }
      }),
  },
  {
    name: 'multipart',
    summary: 'asset uploads in any pieces: all of the content, or an error',
    property: () => {
      const upload = fc
        .record({ bytes: fc.uint8Array({ minLength: 1, maxLength: 60 }), fileName: hostileText })
        .map((given) => Buffer.from(assetBody({ ...given, boundary: 'f' }).body))
      return fc.asyncProperty(near(upload), fc.array(fc.nat({ max: 40 })), async (body, sizes) => {
        const read = async (pieces: readonly number[]): Promise<string> => {
          try {
            const limits = { headerBytes: 512, settingsBytes: 65_536 }
            const { content, ...rest } = await readAssetUpload(inPieces(body, pieces), limits)
            const chunks: Uint8Array[] = []
            for await (const chunk of content) chunks.push(chunk)
            const bytes = Buffer.concat(chunks)
            require(bytes.length === rest.lengthBytes, 'the content is not as long as it says')
            return JSON.stringify({ ...rest, bytes: bytes.toString('hex') })
          } catch (error) {
            if (error instanceof MultipartError) return error.problem
            throw error
          }
        }
        require((await read(sizes)) === (await read([])), 'the pieces make a difference')
      })
    },
  },
  {
    name: 'otr',
    summary: 'Proteus messages in protobuf, of both forms',
    property: () =>
      fc.property(near(otrMessage), (bytes) => {
        only(isMalformedBody, () => decodeOtrMessage(bytes))
        only(isMalformedBody, () => decodeUnqualifiedOtrMessage(bytes, 'application/x-protobuf'))
      }),
  },
  {
    name: 'otr-json',
    summary: 'Proteus messages in JSON',
    property: () =>
      fc.property(unqualifiedJson, (bytes) => {
        only(isMalformedBody, () => decodeUnqualifiedOtrMessage(bytes, 'application/json'))
      }),
  },
  {
    name: 'prekey',
    summary: 'prekey bundles in CBOR',
    property: () => {
      const key = fc
        .nat({ max: 65_535 })
        .map((id) => Buffer.from(newPrekey(id, newPublicKey()).key, 'base64'))
      return fc.property(near(key), fc.nat({ max: 65_535 }), (bytes, id) => {
        const verdict = checkPrekey({ id, key: bytes.toString('base64') })
        require(['ok', 'malformed', 'wrong-id'].includes(verdict), 'an unknown verdict')
      })
    },
  },
  {
    name: 'token',
    summary: 'access tokens and cookies: only what we would write ourselves',
    property: () =>
      fc.property(fc.oneof(token, fc.string({ maxLength: 400 })), (text) => {
        const parsed = parseToken(text)
        if (parsed === undefined) return
        const again = `${parsed.signature.toString('base64url')}==.${formatToken(parsed.token)}`
        require(again === text, 'it would be written in another way')
      }),
  },
  {
    name: 'cookies',
    summary: 'Cookie and Authorization headers',
    property: () =>
      fc.property(fc.oneof(hostileText, fc.stringMatching(/^[zuid=;" a-]{0,40}$/)), (header) => {
        for (const value of readZuidCookies(header)) {
          require(value !== '' && header.includes(value), 'a cookie that was not sent')
        }
        const bearer = readBearer(header)
        require(bearer === undefined || !/\s/.test(bearer), 'a token with a space')
      }),
  },
  {
    name: 'frames',
    summary: 'WebSocket frames, however they are cut',
    property: () =>
      fc.property(
        near(fc.array(frame, { maxLength: 6 }).map((frames) => Buffer.concat(frames))),
        fc.array(fc.nat({ max: 200 }), { maxLength: 5 }),
        (bytes, places) => {
          const ends = places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b)
          const cut = [...ends, bytes.length].map((end, index) =>
            bytes.subarray(ends[index - 1] ?? 0, end),
          )
          const whole = framesIn([bytes])
          require(isDeepStrictEqual(framesIn(cut), whole), 'the cuts make a difference')
        },
      ),
  },
  {
    name: 'acknowledgements',
    summary: 'what clients say on /events',
    property: () =>
      fc.property(
        hostileJson(
          fc.record({
            type: fc.constantFrom('ack', 'ack_full_sync'),
            data: fc.record({ delivery_tag: fc.integer(), multiple: fc.boolean() }),
          }),
        ),
        (bytes) => {
          only(
            (error) => error instanceof SyntaxError,
            () => EventsReply.safeParse(JSON.parse(bytes.toString())),
          )
        },
      ),
  },
  {
    name: 'target',
    summary: 'request targets, queries and routes',
    property: () =>
      fc.property(
        targetText,
        fc.constantFrom('GET', 'HEAD', 'PUT', '__proto__'),
        (text, method) => {
          const { path, query } = splitTarget(text)
          require(path.startsWith('/') && !path.includes('?'), 'no path')
          for (const value of Object.values(parseQuery(query))) {
            require(typeof value === 'string', 'no text')
          }
          for (const prefix of ['', '/v9', '/v15/users', '/v9/properties']) {
            const match = routeTable.find(method, `${prefix}${path}`)
            if (match.kind === 'found') {
              require(!match.route.endpoint.path.startsWith('/i/'), 'an internal path')
            }
          }
        },
      ),
  },
  {
    name: 'address',
    summary: 'X-Forwarded-For: the nearest address that is no proxy',
    property: () =>
      fc.property(
        fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), hostileText, fc.string()), { maxLength: 5 }),
        fc.ipV4(),
        (madeUp, client) => {
          const header = `${madeUp.join(',')},${client}, 10.0.0.2`
          const address = clientAddress('10.0.0.1', header, proxies)
          require(address === client || proxies.includes(client), 'a made-up address')
          limitKey(clientAddress('10.0.0.1', madeUp.join(','), proxies))
        },
      ),
  },
  {
    name: 'config',
    summary: 'the configuration file: read, or refused with a sentence',
    property: () =>
      fc.asyncProperty(
        fc.oneof(
          fc.json(),
          fc.string({ unit: 'grapheme' }),
          fc.stringMatching(/^[-:?&*!|>%@{}[\], \nab1<]{0,60}$/),
        ),
        async (text) => {
          const folder = await mkdtemp(join(tmpdir(), 'fuzz-'))
          const path = join(folder, 'any.yaml')
          try {
            await writeFile(path, text)
            parseConfig(z.looseObject({ a: z.int().optional() }), await readYaml(path), path)
          } catch (error) {
            if (!(error instanceof ConfigError)) throw error
          } finally {
            await rm(folder, { recursive: true })
          }
        },
      ),
  },
  {
    name: 'page-token',
    summary: 'positions in a table and paging states',
    property: () => {
      const empty = Buffer.from(encodePosition('q', [], []), 'base64url').toString()
      const queryHash = String((JSON.parse(empty) as unknown[])[0])
      const encoded = hostileJson(
        fc.tuple(
          // The hash of the query, as a token that is one of ours carries it.
          fc.constantFrom(queryHash, 'x'),
          fc.constantFrom(...uuids),
          fc.bigInt().map(String),
          fc.string(),
          fc.base64String(),
        ),
      ).map((bytes) => bytes.toString('base64url'))
      const state = fc.uint8Array({ maxLength: 20 }).map((b) => Buffer.from(b).toString('base64'))
      return fc.property(fc.oneof(encoded, state, fc.string()), (text) => {
        const position = only(
          (error) => error instanceof MalformedPage,
          () => decodePosition('q', columns, text),
        )
        if (position !== undefined) encodePosition('q', columns, position)
        parsePagingState(text)
        readPagingState(text)
      })
    },
  },
  {
    name: 'ids',
    summary: 'ids of notifications and e-mail addresses',
    property: () =>
      fc.property(
        fc.oneof(fc.uuid(), hostileText, fc.emailAddress(), fc.stringMatching(/^[a.@-]{0,90}$/)),
        fc.uuid({ version: 1 }),
        (text, id) => {
          const ticks = ticksOf(text)
          if (ticks !== undefined) {
            require(compareTimeUuid(text.toLowerCase(), text.toLowerCase()) === 0, 'not itself')
          }
          compareTimeUuid(id, id)
          parseEmail(text)
        },
      ),
  },
]
