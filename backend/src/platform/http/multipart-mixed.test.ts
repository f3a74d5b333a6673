import { AssetAPI } from '@wireapp/api-client/lib/asset/AssetAPI.js'
import fc from 'fast-check'
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { MultipartError, readAssetUpload } from './multipart-mixed.ts'
import type { MultipartProblem } from './multipart-mixed.ts'

const md5Of = (content: string) => createHash('md5').update(content, 'latin1').digest('base64')

/** The body of Kalium (AssetApiV0.kt), whose request names no boundary. */
function body(options: {
  settings?: string
  settingsLength?: number
  headers?: string[]
  content?: string
  end?: string
  lineBreak?: string
}): string {
  const { settings = '{"public":false}', content = 'ciphertext', lineBreak = '\r\n' } = options
  const { end = `${lineBreak}--frontier--${lineBreak}` } = options
  const head = [
    '--frontier',
    'Content-Type: application/json;charset=utf-8',
    `Content-Length: ${options.settingsLength ?? settings.length}`,
    '',
    settings,
    '--frontier',
    ...(options.headers ?? [
      'Content-Type: application/octet-stream',
      `Content-Length: ${content.length}`,
      `Content-MD5: ${md5Of(content)}`,
    ]),
    '',
    '',
  ]
  return head.join(lineBreak) + content + end
}

/** The bytes in pieces of these sizes, over and over. */
async function* pieces(bytes: Uint8Array, sizes: readonly number[] = [bytes.length]) {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function collect(content: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

async function read(text: string | Uint8Array, sizes?: readonly number[]) {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text
  const { content, ...header } = await readAssetUpload(pieces(bytes, sizes))
  return { ...header, content: await collect(content) }
}

async function problemOf(reading: Promise<unknown>): Promise<MultipartProblem | 'none'> {
  try {
    await reading
    return 'none'
  } catch (error) {
    if (error instanceof MultipartError) return error.problem
    throw error
  }
}

describe('an upload', () => {
  it("is read as Wire's api-client sends it", async () => {
    const sent: Uint8Array[] = []
    const client = {
      sendRequest: (request: { data: Uint8Array }) => {
        sent.push(request.data)
        return Promise.reject(new Error('not sent'))
      },
    }
    const api = new AssetAPI(client as unknown as ConstructorParameters<typeof AssetAPI>[0])
    const file = new Uint8Array(3000).map((_, index) => index % 251)
    const request = api.postAsset(file, {
      public: false,
      retention: 'expiring' as never,
      domain: 'tricord.internal',
      auditData: {
        conversationId: { id: '6562d941-4f40-4db4-b96e-56a06d71c2c3', domain: 'tricord.internal' },
        // The SDK takes the length of this in characters, three short of the bytes.
        filename: 'Grüße 🚀.txt',
        filetype: 'text/plain',
      },
    })
    await expect(request.response).rejects.toThrow('not sent')
    const upload = await read(sent[0] ?? new Uint8Array())
    expect(upload).toEqual({
      settings: {
        public: false,
        retention: 'expiring',
        domain: 'tricord.internal',
        convId: { id: '6562d941-4f40-4db4-b96e-56a06d71c2c3', domain: 'tricord.internal' },
        filename: 'Grüße 🚀.txt',
        filetype: 'text/plain',
      },
      contentType: 'application/octet-stream',
      lengthBytes: 3000,
      md5: createHash('md5').update(file).digest(),
      content: Buffer.from(file).toString('latin1'),
    })
  })

  it('comes out the same however it is cut into pieces', async () => {
    const content = '\r\n--frontier--\r\n\0\xff'.repeat(20)
    const bytes = Buffer.from(body({ content }), 'latin1')
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(50), { minLength: 1, maxLength: 8 }).filter((sizes) => sizes.some(Boolean)),
        async (sizes) => {
          expect((await read(bytes, sizes)).content).toBe(content)
        },
      ),
    )
  })

  const plain = ['Content-Type: a/b', 'Content-Length: 10']
  it.each([
    ['header names in any case', { headers: ['CONTENT-LENGTH:10', 'content-type:\ta/b; c=d  '] }],
    ['line feeds only', { lineBreak: '\n' }],
    ['no hash', { headers: plain }],
    ['no end at all', { end: '' }],
    ['half an end', { end: '\r\n--fron' }],
    ['a line break for an end', { end: '\r\n' }],
    ['an epilogue', { end: '\r\n--frontier--\r\nbye' }],
    ['blanks after the settings', { settings: '{"public":false}  ' }],
  ])('may have %s', async (_, options) => {
    const upload = await read(body(options))
    expect(upload).toMatchObject({ settings: { public: false }, content: 'ciphertext' })
  })

  it('may begin with an empty line', async () => {
    expect((await read(`\r\n${body({})}`)).content).toBe('ciphertext')
  })

  it.each<[name: string, problem: MultipartProblem, text: string]>([
    ['it is empty', 'incomplete-body', ''],
    ['it does not begin with a boundary', 'malformed', `x${body({})}`],
    ['the first part is no JSON', 'malformed', body({}).replace('application/json', 'text/plain')],
    ['the settings are broken', 'malformed', body({ settings: '{' })],
    ['the settings are not UTF-8', 'malformed', body({ settings: '"\xff"' })],
    ['the settings are huge', 'malformed', body({ settings: `"${'x'.repeat(20_000)}"` })],
    [
      'the settings are longer than they say',
      'malformed',
      body({ settings: '1\n2\n3', settingsLength: 1 }),
    ],
    ['the settings are shorter than they say', 'malformed', body({ settingsLength: 60 })],
    ['it ends within the settings', 'incomplete-body', body({}).slice(0, 100)],
    ['it ends after the settings', 'incomplete-body', body({}).slice(0, 120)],
    ['the boundaries differ', 'malformed', body({}).replace('}\r\n--frontier', '}\r\n--other')],
    ['the second part has no length', 'malformed', body({ headers: ['Content-Type: a/b'] })],
    ['the second part has no type', 'malformed', body({ headers: ['Content-Length: 10'] })],
    [
      'a type is not valid',
      'malformed',
      body({ headers: ['Content-Type: a', 'Content-Length: 10'] }),
    ],
    [
      'a type has a control character',
      'malformed',
      body({ headers: ['Content-Type: a/b;\x01', 'Content-Length: 10'] }),
    ],
    [
      'a length is not a number',
      'malformed',
      body({ headers: ['Content-Type: a/b', 'Content-Length: 1e1'] }),
    ],
    [
      'a length is negative',
      'malformed',
      body({ headers: ['Content-Type: a/b', 'Content-Length: -1'] }),
    ],
    [
      'a length is beyond counting',
      'malformed',
      body({ headers: ['Content-Type: a/b', `Content-Length: ${'9'.repeat(16)}`] }),
    ],
    ['a header is unknown', 'malformed', body({ headers: [...plain, 'Content-Encoding: gzip'] })],
    ['a header is there twice', 'malformed', body({ headers: [...plain, 'Content-length: 10'] })],
    ['a header has no colon', 'malformed', body({ headers: [...plain, 'Content-MD5'] })],
    ['a hash is not one', 'malformed', body({ headers: [...plain, 'Content-MD5: AAAA'] })],
    [
      'a header is too long',
      'malformed',
      body({ headers: [`Content-Type: a/b;${'x'.repeat(5000)}`] }),
    ],
    ['a header never ends', 'malformed', `--${'x'.repeat(1 << 20)}`],
    ['the content is empty', 'invalid-length', body({ content: '' })],
    [
      'the content is short',
      'incomplete-body',
      body({ headers: ['Content-Type: a/b', 'Content-Length: 99'] }),
    ],
    [
      'the content takes part of the end with it',
      'invalid-length',
      body({ headers: ['Content-Type: a/b', 'Content-Length: 14'] }),
    ],
    [
      'the content is long',
      'invalid-length',
      body({ headers: ['Content-Type: a/b', 'Content-Length: 9'] }),
    ],
    ['the content is much longer', 'invalid-length', body({ end: 'x'.repeat(1 << 20) })],
    [
      'it goes on after the end',
      'invalid-length',
      body({ end: `\r\n--frontier--\r\n${'x'.repeat(5000)}` }),
    ],
    [
      'the hash is of something else',
      'wrong-md5',
      body({ content: 'cyphertext', headers: [...plain, `Content-MD5: ${md5Of('ciphertext')}`] }),
    ],
  ])('is refused when %s', async (_, problem, text) => {
    expect(await problemOf(read(text))).toBe(problem)
    expect(await problemOf(read(text, [1]))).toBe(problem)
  })

  it('gives out nothing of the last piece when the hash is wrong', async () => {
    const headers = ['Content-Type: a/b', 'Content-Length: 10', `Content-MD5: ${md5Of('other')}`]
    const { content } = await readAssetUpload(pieces(Buffer.from(body({ headers }), 'latin1'), [1]))
    let givenBytes = 0
    await expect(async () => {
      for await (const chunk of content) givenBytes += chunk.length
    }).rejects.toThrow(MultipartError)
    expect(givenBytes).toBe(9)
  })

  it('reads no further than it was asked to', async () => {
    let piecesRead = 0
    async function* endless() {
      yield Buffer.from(
        body({
          headers: ['Content-Type: a/b', 'Content-Length: 999999999999'],
          content: '',
          end: '',
        }),
      )
      for (;;) {
        piecesRead += 1
        yield new Uint8Array(1000)
      }
    }
    const { content, lengthBytes } = await readAssetUpload(endless())
    expect(lengthBytes).toBe(999_999_999_999)
    expect(piecesRead).toBe(0)
    for await (const chunk of content) {
      expect(chunk.length).toBe(1000)
      if (piecesRead === 3) break
    }
    expect(piecesRead).toBe(3)
  })

  it('lets an error of the source through', async () => {
    async function* broken() {
      yield Buffer.from('--frontier\r\n')
      throw new Error('the caller went away')
    }
    await expect(readAssetUpload(broken())).rejects.toThrow('the caller went away')
  })

  it('is read or refused, whatever the bytes are', async () => {
    const good = Buffer.from(body({}), 'latin1')
    const mutated = fc
      .tuple(fc.nat(good.length - 1), fc.uint8Array({ maxLength: 4 }), fc.nat(20))
      .map(([at, insert, drop]) =>
        Buffer.concat([good.subarray(0, at), insert, good.subarray(at + drop)]),
      )
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated),
        fc.integer({ min: 1, max: 40 }),
        async (bytes, size) => {
          const problems = ['none', 'malformed', 'incomplete-body', 'invalid-length', 'wrong-md5']
          expect(problems).toContain(await problemOf(read(bytes, [size])))
        },
      ),
      { numRuns: 1000 },
    )
  })
})
