import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'

import { systemClock, type Clock } from '../../backend/src/platform/clock.ts'
import { raisedLimits } from '../support/server-process.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { castOn, type Cast } from '../support/wire/cast.ts'
import { rawClient } from '../support/wire/raw.ts'
import { refused } from './api.ts'

// What only time brings about, on a server whose clock is put forward. One process is enough: the
// services of several read the same clock of their host.

const patienceMs = 20_000
const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

let aheadMs = 0
const clock = systemClock()
const putForward: Clock = { ...clock, nowMs: () => clock.nowMs() + aheadMs }
const passes = (ms: number): void => {
  aheadMs += ms
}

let server: TestServer
let cast: Cast

beforeAll(async () => {
  server = await startTestServer(
    { cannon: { consumableNotifications: true } },
    { clock: putForward },
  )
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(() => {
  cast = castOn(server)
})
afterEach(() => cast[Symbol.asyncDispose]())

it("lets Wire's client go on when its access token has expired", async () => {
  const alice = await cast.person('alice', { kind: 'api' })
  const { accessTokenStore } = alice.client.api as unknown as {
    accessTokenStore: { accessTokenData: { access_token: string } }
  }
  const before = accessTokenStore.accessTokenData.access_token
  passes(20 * minuteMs)
  expect(await alice.client.api.api.self.getSelf([])).toMatchObject({ id: alice.user.id })
  expect(accessTokenStore.accessTokenData.access_token).not.toBe(before)
  expect(alice.client.signOuts).toEqual([])
})

it('replaces a cookie that has grown old, and takes the old one for a while', async () => {
  const alice = await cast.person('alice')
  const { client } = alice
  const old = client.jar.get('zuid')?.value ?? ''
  const access = (cookie: string) =>
    client.request('POST', '/access', { headers: { cookie: `zuid=${cookie}` }, cookies: false })
  passes(13 * dayMs)
  expect((await access(old)).headers.getSetCookie()).toEqual([])
  passes(2 * dayMs)
  await client.access()
  const successor = client.jar.get('zuid')?.value ?? ''
  expect(successor).not.toBe(old)
  const late = await access(old)
  expect(late.status).toBe(200)
  expect(late.headers.getSetCookie()[0]).toContain(successor)
  passes(15 * dayMs)
  expect((await access(old)).status).toBe(403)
  expect((await access(successor)).status).toBe(200)
})

it('forgets notifications after four weeks, and says so to who asks for what followed', async () => {
  const alice = await cast.person('alice')
  const [first] = await alice.client.notifications()
  passes(29 * dayMs)
  await alice.client.access()
  await alice.client.request('PUT', '/self', { json: { name: 'Alice II' }, expect: 200 })
  const query = { since: first?.id }
  expect(await alice.client.request('GET', '/notifications', { query })).toMatchObject(
    refused(404, 'not-found'),
  )
  const left = await alice.client.notifications()
  expect(left.flatMap(({ payload }) => payload.map(({ type }) => type))).toEqual(['user.update'])
})

it("tells Wire's client that what it missed is gone", async () => {
  // In Node the library ignores the cookie that replaces its first one, which then ends too early.
  const sessions = { renewAfterSeconds: (40 * dayMs) / 1000 }
  await using patient = await startTestServer(
    { brig: { ...raisedLimits.brig, sessions } },
    { clock: putForward },
  )
  await using people = castOn(patient)
  const alice = await people.person('alice', { kind: 'core' })
  const bob = await people.person('bob', { kind: 'core' })
  const room = await alice.connectsWith(bob)
  await alice.sends(room, 'before')
  await bob.receives('before')
  await bob.goesOffline()
  passes(29 * dayMs)
  await bob.comesOnline()
  await bob.client.receives(({ kind }) => kind === 'missed')
  await alice.sends(room, 'after')
  await bob.receives('after')
})

it('tells a queue that was left alone too long that it missed something', async () => {
  const alice = await cast.person('alice')
  const { email, password } = alice
  const queue = rawClient(server.url)
  await queue.login({ email, password })
  await queue.registerDevice({ password, capabilities: ['consumable-notifications'] })
  {
    await using socket = await queue.openEvents({ isAcknowledging: true, syncMarker: 'first' })
    await socket.messages.take(({ type }) => type === 'synchronization', patienceMs)
    await socket.close()
  }
  await alice.client.request('PUT', '/self', { json: { name: 'Alice II' }, expect: 200 })
  passes(29 * dayMs)
  await queue.access()
  await using socket = await queue.openEvents({ syncMarker: 'second' })
  await socket.messages.take(({ type }) => type === 'notifications_missed', patienceMs)
  expect(socket.messages.all).toHaveLength(1)
  socket.acknowledgeFullSync()
  await socket.messages.take(({ type }) => type === 'synchronization', patienceMs)
})

it('sends guests home when their time is over', async () => {
  const guest = rawClient(server.url)
  const json = { name: 'Gina', expires_in: 3600 }
  const { json: self } = await guest.request<{ id: string }>('POST', '/register', {
    json,
    expect: 201,
  })
  await guest.access()
  expect((await guest.request('GET', '/self')).json).toMatchObject({ id: self.id })
  passes(61 * minuteMs)
  expect((await guest.request('POST', '/access')).status).toBe(403)
})

it('does not take codes for ever', async () => {
  const client = rawClient(server.url)
  const alice = await cast.person('alice')
  const { email } = alice
  await client.request('POST', '/password-reset', { json: { email }, expect: 201 })
  const secret = await cast.mailbox.secretFor(email, 'PasswordReset')
  passes(61 * minuteMs)
  const completion = { json: { ...secret, password: 'another password' } }
  expect(await client.request('POST', '/password-reset/complete', completion)).toMatchObject(
    refused(400, 'invalid-code'),
  )
})
