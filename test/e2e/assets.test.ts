import { randomBytes, randomUUID } from 'node:crypto'

import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import { assetBody } from '../support/wire/asset-body.ts'
import type { UploadedAsset } from '../support/wire/raw.ts'
import { refused } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

const assetPath = ({ domain, key }: UploadedAsset): string => `/assets/${domain}/${key}`

/** Downloads with the token in the query, as Wire's web clients do. */
const download = ({ client }: Somebody, asset: UploadedAsset) => client.downloadAsset(asset)

/** Only what names the asset: what whoever was not told its token knows. */
const withoutToken = ({ key, domain }: UploadedAsset): UploadedAsset => ({ key, domain })

inBothShapes(({ person }) => {
  it('gives a private asset to its owner and to whoever shows the token', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const bytes = randomBytes(100_000)
    const asset = await alice.client.uploadAsset({ bytes })
    expect(asset.key).toMatch(/^3-2-[0-9a-f-]{36}$/)
    expect(asset.token).toBeDefined()

    const reply = await download(bob, asset)
    expect(reply.status).toBe(200)
    expect(reply.headers.get('content-type')).toBe('application/octet-stream')
    expect(Buffer.compare(reply.bytes, bytes)).toBe(0)
    const headers = { 'asset-token': asset.token ?? '' }
    expect((await bob.client.request('GET', assetPath(asset), { headers })).status).toBe(200)
    expect((await download(alice, withoutToken(asset))).status).toBe(200)

    for (const token of [undefined, 'AAAAAAAAAAAAAAAAAAAAAA']) {
      const attempt = { ...withoutToken(asset), ...(token !== undefined && { token }) }
      expect(await download(bob, attempt)).toMatchObject(refused(404, 'not-found'))
    }
  })

  it('gives a public asset to every user', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const asset = await alice.client.uploadAsset({ bytes: Buffer.from('portrait'), isPublic: true })
    expect(asset.token).toBeUndefined()
    expect((await download(bob, asset)).text).toBe('portrait')
    expect((await bob.client.request('GET', assetPath(asset), { token: null })).status).toBe(401)
  })

  it('takes a token back when its owner renews it, and needs none after it is public', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const asset = await alice.client.uploadAsset({ bytes: Buffer.from('secret') })
    const tokenPath = `/assets/${asset.key}/token`
    expect(await bob.client.request('POST', tokenPath)).toMatchObject(refused(403, 'unauthorised'))
    const renewed = await alice.client.request<{ token: string }>('POST', tokenPath, {
      expect: 200,
    })
    expect(renewed.json.token).not.toBe(asset.token)
    expect((await download(bob, asset)).status).toBe(404)
    expect((await download(bob, { ...asset, token: renewed.json.token })).text).toBe('secret')

    expect(await bob.client.request('DELETE', tokenPath)).toMatchObject(
      refused(403, 'unauthorised'),
    )
    await alice.client.request('DELETE', tokenPath, { expect: 200 })
    expect((await download(bob, withoutToken(asset))).text).toBe('secret')
  })

  it('is deleted by its owner only', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const asset = await alice.client.uploadAsset({ bytes: Buffer.from('gone') })
    const remove = ({ client }: Somebody) => client.request('DELETE', assetPath(asset))
    expect(await remove(bob)).toMatchObject(refused(403, 'unauthorised'))
    expect((await remove(alice)).status).toBe(200)
    expect((await download(alice, asset)).status).toBe(404)
    expect((await remove(alice)).status).toBe(404)
  })

  it('says how long it is kept', async () => {
    const alice = await person('alice')
    const bytes = Buffer.from('for a while')
    const retentions = [
      ['eternal', '1', false],
      ['persistent', '2', false],
      ['volatile', '3', true],
      ['eternal-infrequent_access', '4', false],
      ['expiring', '5', true],
    ] as const
    for (const [retention, digit, doesExpire] of retentions) {
      const asset = await alice.client.uploadAsset({ bytes, retention })
      expect(asset.key).toMatch(new RegExp(`^3-${digit}-`))
      expect(asset.expires !== undefined).toBe(doesExpire)
    }
  })

  it('may hold what looks like the end of the upload', async () => {
    const alice = await person('alice')
    const boundary = 'frontier'
    const text = `\r\n--${boundary}--\r\n`
    const asset = await alice.client.uploadAsset({ bytes: Buffer.from(text), boundary })
    expect((await download(alice, asset)).text).toBe(text)
  })

  it('is refused when it is not what it claims to be', async () => {
    const alice = await person('alice')
    const bytes = Buffer.from('twelve bytes')
    const upload = (claimed: { sizeBytes?: number; md5?: string | undefined }) =>
      alice.client.request('POST', '/assets', assetBody({ bytes, claimed }))
    for (const sizeBytes of [0, 11]) {
      expect(await upload({ sizeBytes, md5: undefined })).toMatchObject(
        refused(400, 'invalid-length'),
      )
    }
    expect((await upload({ sizeBytes: 1_000 })).status).toBe(400)
    expect(await upload({ md5: 'AAAAAAAAAAAAAAAAAAAAAA==' })).toMatchObject(
      refused(400, 'bad-request'),
    )
    expect(await upload({ sizeBytes: 26_214_433 })).toMatchObject(refused(413, 'client-error'))
    const unknown = { domain: alice.user.domain, key: `3-2-${randomUUID()}` }
    expect((await download(alice, unknown)).status).toBe(404)
    expect((await download(alice, { ...unknown, domain: 'elsewhere.example' })).status).toBe(404)
  })
})
