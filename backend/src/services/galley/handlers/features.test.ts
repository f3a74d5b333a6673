import { createPublicKey, sign, verify } from 'node:crypto'
import { expect, it } from 'vitest'
import { openSqlite } from '../../../adapters/sqlite/wide-column.ts'
import { SignatureScheme } from '../../../contract/galley/mls-keys.ts'
import { loadRemovalKeys, removalKeyTables } from '../store/removal-keys.ts'
import { at, startTestGalley } from '../test-galley.ts'

it.each([8, 9, 10, 11, 12, 13, 14, 15])('knows the features of version %i', async (version) => {
  await using galley = await startTestGalley()
  const reply = await galley.person().call('GET', `/v${String(version)}/feature-configs`)
  expect(reply.status).toBe(200)
  const names = Object.keys(reply.body)
  // What Kalium insists on.
  for (const name of [
    'appLock',
    'classifiedDomains',
    'conferenceCalling',
    'conversationGuestLinks',
    'digitalSignatures',
    'fileSharing',
    'legalhold',
    'searchVisibility',
    'selfDeletingMessages',
    'sndFactorPasswordChallenge',
    'sso',
    'validateSAMLemails',
  ]) {
    expect(names).toContain(name)
  }
  expect(at(reply.body, 'mls', 'status')).toBe('disabled')
  expect(names.includes('allowedGlobalOperations')).toBe(version >= 10)
  expect(names.includes('consumableNotifications')).toBe(version >= 11)
  expect(names.includes('stealthUsers')).toBe(version >= 12)
  expect(names.includes('meetings')).toBe(version >= 14)
  expect(at(reply.body, 'cells', 'config') !== undefined).toBe(version >= 14)
  if (version >= 11) expect(at(reply.body, 'consumableNotifications', 'status')).toBe('disabled')
})

it('shows real removal keys, raw and as JSON Web Keys, the same after a restart', async () => {
  await using db = await openSqlite({ file: ':memory:' })
  const replies = []
  for (let starts = 0; starts < 2; starts += 1) {
    await using galley = await startTestGalley({ db })
    const alice = galley.person()
    const raw = (await alice.call('GET', '/mls/public-keys')).body['removal']
    const jwk = (await alice.call('GET', '/mls/public-keys?format=jwk')).body['removal']
    expect((await alice.call('GET', '/mls/public-keys?format=raw')).body['removal']).toEqual(raw)
    expect((await alice.call('GET', '/mls/public-keys?format=pem')).status).toBe(400)
    replies.push({ raw, jwk })
  }
  expect(replies[1]).toEqual(replies[0])

  const lengths = {
    ed25519: 32,
    ecdsa_secp256r1_sha256: 65,
    ecdsa_secp384r1_sha384: 97,
    ecdsa_secp521r1_sha512: 133,
  }
  const keys = await loadRemovalKeys(db)
  for (const scheme of SignatureScheme.options) {
    const raw = Buffer.from(String(at(replies[0]?.raw, scheme)), 'base64')
    expect(raw).toHaveLength(lengths[scheme])
    if (scheme !== 'ed25519') expect(raw[0]).toBe(4)
    const jwk = at(replies[0]?.jwk, scheme) as Record<string, string>
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const message = Buffer.from('remove')
    const hash = scheme === 'ed25519' ? undefined : 'sha256'
    expect(verify(hash, message, key, sign(hash, message, keys[scheme]))).toBe(true)
  }
})

it('gives all processes that start at once the same keys', async () => {
  await using db = await openSqlite({ file: ':memory:' })
  await db.open(removalKeyTables)
  const all = await Promise.all([loadRemovalKeys(db), loadRemovalKeys(db), loadRemovalKeys(db)])
  for (const scheme of SignatureScheme.options) {
    const exported = all.map((keys) => keys[scheme].export({ format: 'jwk' })['x'])
    expect(new Set(exported).size).toBe(1)
  }
})

it('knows the backends of other domains by configuration only', async () => {
  const backend = { configUrl: 'https://a.example/config.json', welcomeUrl: 'https://a.example/' }
  await using galley = await startTestGalley({
    config: { customBackends: { 'a.example': backend } },
  })
  const alice = galley.person()
  expect(await alice.call('GET', '/custom-backend/by-domain/a.example')).toMatchObject({
    status: 200,
    body: { config_json_url: backend.configUrl, webapp_welcome_url: backend.welcomeUrl },
  })
  expect(await alice.call('GET', '/custom-backend/by-domain/b.example')).toMatchObject({
    status: 404,
    body: { label: 'custom-backend-not-found' },
  })
})
