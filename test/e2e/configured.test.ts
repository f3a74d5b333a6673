import { expect, it } from 'vitest'

import { raisedLimits } from '../support/server-process.ts'
import { startTestServer } from '../support/server.ts'
import { castOn } from '../support/wire/cast.ts'
import { rawClient } from '../support/wire/raw.ts'
import { newAddress, refused, roomPath } from './api.ts'

// What an operator may have set otherwise. Settings reach a service alike in both shapes.

it('registers nobody by themselves while registration is closed', async () => {
  const registration = { isOpen: false, takesGuests: false }
  await using server = await startTestServer({ brig: { ...raisedLimits.brig, registration } })
  const client = rawClient(server.url)
  expect(await client.request('GET', '/system/settings/unauthorized')).toMatchObject({
    json: { setRestrictUserCreation: true },
  })
  const register = (account: object) =>
    client.request('POST', '/register', { json: { name: 'Carol', ...account } })
  expect(await register({ email: newAddress('carol') })).toMatchObject(
    refused(403, 'user-creation-restricted'),
  )
  expect(await register({})).toMatchObject(refused(403, 'ephemeral-user-creation-disabled'))
})

it('makes no guest links where they are switched off', async () => {
  await using server = await startTestServer({ galley: { guestLinks: { isEnabled: false } } })
  await using cast = castOn(server)
  const alice = await cast.person('alice')
  const { client } = alice
  const room = await alice.creates('Open house', [])
  const access = { access: ['invite', 'code'], access_role: ['non_team_member', 'guest'] }
  await client.request('PUT', `${roomPath(room)}/access`, { json: access, expect: 200 })
  const path = `/conversations/${room.id.id}`
  expect(await client.request('POST', `${path}/code`, { json: {} })).toMatchObject(
    refused(409, 'guest-links-disabled'),
  )
  expect(await client.request('GET', `${path}/features/conversationGuestLinks`)).toMatchObject({
    json: { status: 'disabled' },
  })
  expect(await client.request('GET', '/feature-configs')).toMatchObject({
    json: { conversationGuestLinks: { status: 'disabled' } },
  })
})

it('has neither acknowledged queues nor relays nor other backends unless it is told of them', async () => {
  await using server = await startTestServer()
  await using cast = castOn(server)
  const { client } = await cast.person('alice')
  await expect(client.openEvents()).rejects.toMatchObject({ status: 404 })
  expect(await client.request('GET', '/calls/config/v2')).toMatchObject(refused(404, 'not-found'))
  const path = '/custom-backend/by-domain/elsewhere.example'
  expect(await client.request('GET', path)).toMatchObject(refused(404, 'custom-backend-not-found'))
  const token = { transport: 'GCM', app: 'wire', token: 'token', client: client.device }
  expect(await client.request('POST', '/push/tokens', { json: token })).toMatchObject(
    refused(404, 'app-not-found'),
  )
  const voip = { ...token, transport: 'APNS_VOIP' }
  expect(await client.request('POST', '/push/tokens', { json: voip })).toMatchObject(
    refused(400, 'apns-voip-not-supported'),
  )
})

it('lets the pages that it lists call from a browser, with cookies', async () => {
  const origin = 'https://webapp.example'
  await using server = await startTestServer({
    nginz: { ...raisedLimits.nginz, origins: [origin] },
  })
  const client = rawClient(server.url)
  const preflight = (from: string) =>
    client.request('OPTIONS', '/access', {
      headers: {
        origin: from,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization, content-type',
      },
    })
  const allowed = await preflight(origin)
  expect(allowed.status).toBe(204)
  expect(Object.fromEntries(allowed.headers)).toMatchObject({
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-allow-headers': 'authorization, content-type',
  })
  const foreign = await preflight('https://elsewhere.example')
  expect(foreign.headers.get('access-control-allow-origin')).toBeNull()
  const refusal = await client.request('GET', '/self', { headers: { origin } })
  expect(refusal.status).toBe(401)
  expect(refusal.headers.get('access-control-allow-origin')).toBe(origin)
})

it('delays an account that failed to log in too often', async () => {
  const passwords = {
    ...raisedLimits.brig.passwords,
    failedLogins: { limit: 2, withinSeconds: 60 },
  }
  await using server = await startTestServer({ brig: { passwords } })
  await using cast = castOn(server)
  const { email, password } = await cast.person('alice')
  const logIn = (attempt: string) =>
    rawClient(server.url).request('POST', '/login', { json: { email, password: attempt } })
  for (let failures = 0; failures < 2; failures += 1) {
    expect((await logIn('not this one')).status).toBe(403)
  }
  const refusal = await logIn(password)
  expect(refusal).toMatchObject(refused(403, 'client-error'))
  expect(Number(refusal.headers.get('retry-after'))).toBeGreaterThan(0)
})
