import { createHash } from 'node:crypto'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import type { AssetKey } from '../../../contract/cargohold/assets.ts'
import type { HandlerInput } from '../../../contract/endpoint.ts'
import type { ConnectionId, Domain, UserId } from '../../../contract/ids.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import { systemIds } from '../../../platform/ids.ts'
import type { ObjectMetadata, ObjectStore } from '../../../ports/objects.ts'
import { CargoholdConfig } from '../config.ts'
import { assetHandlers } from './assets.ts'

const domain = 'example.org' as Domain
const alice = '11111111-1111-4111-8111-111111111111' as UserId
const bob = '22222222-2222-4222-8222-222222222222' as UserId
const caller = (user: UserId) => ({ user, client: undefined, connection: '1' as ConnectionId })

function memoryObjects(): ObjectStore & { keys(): string[] } {
  const objects = new Map<string, { bytes: Buffer; metadata: ObjectMetadata }>()
  return {
    keys: () => [...objects.keys()],
    async put(key, content, { metadata }) {
      const chunks: Uint8Array[] = []
      for await (const chunk of content) chunks.push(chunk)
      objects.set(key, { bytes: Buffer.concat(chunks), metadata })
    },
    async head(key) {
      const object = objects.get(key)
      return object && { sizeBytes: object.bytes.length, metadata: object.metadata, createdMs: 0 }
    },
    async get(key) {
      const object = objects.get(key)
      if (object === undefined) return undefined
      const { bytes, metadata } = object
      async function* content() {
        yield bytes
      }
      return { sizeBytes: bytes.length, metadata, createdMs: 0, content: content() }
    },
    async replaceMetadata(key, metadata) {
      const object = objects.get(key)
      if (object !== undefined) object.metadata = metadata
      return object !== undefined
    },
    remove: async (key) => objects.delete(key),
    expire: async () => 0,
    [Symbol.asyncDispose]: async () => undefined,
  }
}

function start(team: boolean = false) {
  const objects = memoryObjects()
  const handlers = assetHandlers({
    config: CargoholdConfig.parse({ maxAssetBytes: 64, maxTeamAssetBytes: 128 }),
    domain,
    platform: { log: pino({ level: 'silent' }), clock: fakeClock(), ids: systemIds() },
    objects,
    brig: {
      listUserSummaries: async ({ body }) => ({
        status: 200,
        headers: {},
        body: {
          users: body.users.map((id) => ({
            id,
            name: 'x',
            status: 'active' as const,
            type: 'regular' as const,
            isActivated: true,
            ...(team ? { team: bob as never } : {}),
          })),
        },
      }),
    },
  })
  return { handlers, objects }
}

async function* body(content: string, settings: object, lengthBytes = content.length) {
  const json = JSON.stringify(settings)
  const md5 = createHash('md5').update(content).digest('base64')
  yield Buffer.from(
    `--frontier\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}\r\n` +
      `--frontier\r\nContent-Type: application/octet-stream\r\nContent-Length: ${lengthBytes}\r\n` +
      `Content-MD5: ${md5}\r\n\r\n${content}\r\n--frontier--\r\n`,
  )
}

type Handlers = ReturnType<typeof assetHandlers>
/** Calls a handler with the parts it reads. */
async function call(
  handlers: Handlers,
  name: keyof Handlers,
  input: object,
): Promise<{ status: number; body?: never }> {
  const handler = handlers[name] as unknown as (
    given: Partial<HandlerInput<never>>,
  ) => Promise<{ status: number; body?: never }>
  return handler({ query: {}, headers: {}, ...input } as never)
}

async function upload(handlers: Handlers, settings: object = {}, content = 'cipher') {
  const reply = await call(handlers, 'uploadAsset', {
    caller: caller(alice),
    body: body(content, settings),
  })
  return reply.body as unknown as { key: AssetKey; token?: string; expires?: string }
}

async function text(content: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

describe('assets', () => {
  it('come back to their owner and to who holds the token, and to nobody else', async () => {
    const { handlers } = start()
    const { key, token } = await upload(handlers)
    expect(key).toMatch(/^3-2-/)
    const params = { domain, key }
    const own = await call(handlers, 'downloadAsset', { caller: caller(alice), params })
    expect(await text(own.body as never)).toBe('cipher')
    const unknown = { declaration: { status: 404 } }
    for (const input of [
      { params },
      { params, query: { asset_token: 'wrong' } },
      { params: { domain: 'other.org', key }, query: { asset_token: token } },
      { params: { domain, key: key.replace(/.$/, key.endsWith('0') ? '1' : '0') } },
    ]) {
      const attempt = call(handlers, 'downloadAsset', { caller: caller(bob), ...input })
      await expect(attempt).rejects.toMatchObject(unknown)
    }
    for (const input of [
      { query: { asset_token: token } },
      { headers: { 'asset-token': token } },
    ]) {
      const reply = await call(handlers, 'downloadAsset', { caller: caller(bob), params, ...input })
      expect(reply.status).toBe(200)
    }
  })

  it('that are public need no token', async () => {
    const { handlers } = start()
    const { key, token } = await upload(handlers, { public: true })
    expect(token).toBeUndefined()
    const reply = await call(handlers, 'downloadAsset', {
      caller: caller(bob),
      params: { domain, key },
    })
    expect(reply.status).toBe(200)
  })

  it('tell when they expire and lie below their retention', async () => {
    const { handlers, objects } = start()
    const { key, expires } = await upload(handlers, { retention: 'volatile' })
    expect(key).toMatch(/^3-3-/)
    expect(expires).toMatch(/Z$/)
    expect(objects.keys()).toEqual([`v3/volatile/${key.slice(4)}`])
  })

  it('are refused when too large, empty, too long or damaged, and leave nothing behind', async () => {
    const { handlers, objects } = start()
    const attempt = (given: AsyncIterable<Uint8Array>) =>
      call(handlers, 'uploadAsset', { caller: caller(alice), body: given })
    const label = (status: number, text: string) => ({ declaration: { status, label: text } })
    await expect(attempt(body('x'.repeat(65), {}))).rejects.toMatchObject(
      label(413, 'client-error'),
    )
    await expect(attempt(body('', {}))).rejects.toMatchObject(label(400, 'invalid-length'))
    await expect(attempt(body('cipher', {}, 60))).rejects.toMatchObject(
      label(400, 'incomplete-body'),
    )
    await expect(attempt(body('cipher', { retention: 'now' }))).rejects.toMatchObject(
      label(400, 'bad-request'),
    )
    expect(objects.keys()).toEqual([])
    const team = start(true)
    expect((await upload(team.handlers, {}, 'x'.repeat(65))).key).toBeDefined()
  })

  it('are deleted and get new tokens only by their owner', async () => {
    const { handlers, objects } = start()
    const { key, token } = await upload(handlers)
    const params = { domain, key }
    const notOwner = { declaration: { status: 403, label: 'unauthorised' } }
    for (const name of ['deleteAsset', 'renewAssetToken', 'deleteAssetToken'] as const) {
      const attempt = call(handlers, name, { caller: caller(bob), params })
      await expect(attempt).rejects.toMatchObject(notOwner)
    }
    const renewed = await call(handlers, 'renewAssetToken', { caller: caller(alice), params })
    const next = (renewed.body as unknown as { token: string }).token
    const download = (asset_token?: string) =>
      call(handlers, 'downloadAsset', { caller: caller(bob), params, query: { asset_token } })
    await expect(download(token)).rejects.toMatchObject({ declaration: { status: 404 } })
    expect((await download(next)).status).toBe(200)
    await call(handlers, 'deleteAssetToken', { caller: caller(alice), params })
    expect((await download()).status).toBe(200)
    await call(handlers, 'deleteAsset', { caller: caller(alice), params })
    expect(objects.keys()).toEqual([])
  })
})
