import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newDeviceKeys } from '../../../../../test/support/wire/prekeys.ts'
import type { UserId } from '../../../contract/ids.ts'
import { parseToken } from '../../../platform/zauth/token.ts'
import { userStore } from '../store/users.ts'
import { password, startTestBrig } from '../test-brig.ts'
import type { TestBrig } from '../test-brig.ts'

let brig: TestBrig
beforeAll(async () => {
  brig = await startTestBrig()
})
afterAll(() => brig[Symbol.asyncDispose]())

const dayMs = 86_400_000
const wrongPassword = {
  code: 403,
  label: 'invalid-credentials',
  message: 'Authentication failed.',
}
const deadSession = { code: 403, label: 'invalid-credentials', message: 'Invalid token' }

const access = (
  options: { cookie?: string | undefined; token?: string; client?: string },
  on = brig,
) =>
  on.call(
    'POST',
    `/access${options.client === undefined ? '' : `?client_id=${options.client}`}`,
    options,
  )

async function addClient(user: UserId, fields: object = {}, on = brig): Promise<string> {
  const { prekeys, lastkey } = newDeviceKeys(1)
  const body = { type: 'permanent', prekeys, lastkey, password, ...fields }
  const reply = await on.call('POST', '/clients', { as: user, body })
  expect(reply.status, JSON.stringify(reply.body)).toBe(201)
  return reply.body.id as string
}

const contentOf = (token: string | undefined) => parseToken(token ?? '')?.token

describe('logging in', () => {
  it('by address, in any case, or by handle gives token and cookie', async () => {
    const alice = await brig.register()
    await brig.call('PUT', '/self/handle', { as: alice.id, body: { handle: 'alice.login' } })
    for (const body of [{ email: alice.email.toUpperCase() }, { handle: 'alice.login' }]) {
      const reply = await brig.call('POST', '/login?persist=true', { body: { ...body, password } })
      expect(reply.status).toBe(200)
      expect(reply.body).toEqual({
        access_token: expect.any(String) as string,
        expires_in: 900,
        token_type: 'Bearer',
        user: alice.id,
      })
      expect(contentOf(reply.body.access_token as string)).toMatchObject({
        type: 'access',
        user: alice.id,
        expiresAtSeconds: Math.floor(brig.clock.nowMs() / 1000) + 900,
      })
      expect(contentOf(reply.cookie)).toMatchObject({ type: 'user', isSession: false })
    }
  })

  it('without persist gives a session of a day, which the browser forgets', async () => {
    const alice = await brig.register()
    const reply = await brig.login(alice.email, {}, false)
    expect(reply.headers.get('set-cookie')).not.toContain('Expires')
    expect(contentOf(reply.cookie)).toMatchObject({
      isSession: true,
      expiresAtSeconds: Math.floor(brig.clock.nowMs() / 1000) + 86_400,
    })
  })

  it('says the same of a wrong password and of an account that is not there', async () => {
    const alice = await brig.register()
    const guest = await brig.call('POST', '/register', { body: { name: 'G', password } })
    const attempts = [
      { email: alice.email, password: 'wrong one' },
      { email: 'nobody@example.com', password },
      { email: 'not an address', password },
      { handle: 'nobody.here', password },
      { handle: guest.body.id as string, password },
    ]
    for (const body of attempts) {
      const reply = await brig.call('POST', '/login', { body })
      expect(reply.body).toEqual(wrongPassword)
      expect(reply.cookie).toBeUndefined()
    }
  })

  it('needs an address or a handle, and a password', async () => {
    for (const body of [
      { password },
      { email: 'a@example.com' },
      { email: 'a@b.de', password: 'x' },
    ]) {
      expect((await brig.call('POST', '/login', { body })).body.label).toBe('bad-request')
    }
  })

  it('is refused for a suspended account, to whoever knows the password', async () => {
    const alice = await brig.register()
    const users = userStore(brig.db, brig.clock)
    const user = await users.get(alice.id)
    if (user) await users.update(user, { status: 'suspended' })
    expect((await brig.login(alice.email)).body).toMatchObject({ code: 403, label: 'suspended' })
    expect((await brig.login(alice.email, { password: 'wrong one' })).body).toEqual(wrongPassword)
    expect((await access({ cookie: alice.cookie })).body).toEqual(deadSession)
  })

  it('under a label ends the session that had it, and tells the devices', async () => {
    const alice = await brig.register({ label: 'laptop' })
    const phone = await brig.login(alice.email, { label: 'phone' })
    const laptop = await brig.login(alice.email, { label: 'laptop' })
    expect((await access({ cookie: alice.cookie })).body).toEqual(deadSession)
    expect((await access({ cookie: phone.cookie })).status).toBe(200)
    expect((await access({ cookie: laptop.cookie })).status).toBe(200)
    expect(brig.eventsOf(alice.id)).toEqual([{ type: 'user.session-refresh-suggested' }])
  })

  it('does not fail because devices cannot be told', async () => {
    const alice = await brig.register({ label: 'laptop' })
    brig.failing.push(...Array.from({ length: 12 }, () => 'push'))
    const reply = await brig.whileTimePasses(brig.login(alice.email, { label: 'laptop' }))
    brig.failing.length = 0
    expect(reply.status).toBe(200)
  })

  it('is limited for each account and name, whether or not it exists', async () => {
    await using limited = await startTestBrig({ config: { passwords: {} } })
    const { email } = await limited.register()
    for (const name of [email, 'nobody@example.com']) {
      const attempt = () => limited.login(name, { password: 'wrong one' })
      for (let i = 0; i < 5; i += 1) expect((await attempt()).body).toEqual(wrongPassword)
      const refused = await attempt()
      expect(refused.body).toMatchObject({ code: 429, label: 'too-many-requests' })
      expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(60)
    }
    await limited.clock.advance(60_000)
    expect((await limited.login(email)).status).toBe(200)
  })

  it('stops after as many failures as the operator allows', async () => {
    const unlimited = { perSecond: 1000, burst: 1000 }
    await using strict = await startTestBrig({
      config: {
        passwords: {
          perUser: unlimited,
          perAddress: unlimited,
          failedLogins: { limit: 2, withinSeconds: 600 },
        },
      },
    })
    const { email } = await strict.register()
    for (let i = 0; i < 2; i += 1) {
      expect((await strict.login(email, { password: 'wrong one' })).body).toEqual(wrongPassword)
    }
    await strict.clock.advance(60_000)
    const refused = await strict.login(email)
    expect(refused.body).toMatchObject({ code: 403, label: 'client-error' })
    expect(refused.headers.get('retry-after')).toBe('540')
    await strict.clock.advance(540_000)
    expect((await strict.login(email)).status).toBe(200)
  })

  it('refuses a program that never keeps its cookies', async () => {
    await using own = await startTestBrig()
    const { email, cookie } = await own.register()
    for (let i = 1; i < 32; i += 1) {
      await own.clock.advance(60_000)
      expect((await own.login(email)).status).toBe(200)
    }
    const refused = await own.login(email)
    expect(refused.body).toMatchObject({ code: 429, label: 'client-error' })
    expect(refused.headers.get('retry-after')).toBe('86400')
    expect((await access({ cookie }, own)).status).toBe(200)
    expect((await own.login(email, {}, false)).status).toBe(200)
  })

  it('keeps 32 sessions, of which the oldest gives way', async () => {
    await using own = await startTestBrig()
    const { id, email, cookie } = await own.register()
    for (let i = 1; i < 33; i += 1) {
      await own.clock.advance(i % 2 === 0 ? 1000 : 5 * 3_600_000)
      expect((await own.login(email)).status).toBe(200)
    }
    expect((await own.call('GET', '/cookies', { as: id })).body.cookies).toHaveLength(32)
    expect((await access({ cookie }, own)).body).toEqual(deadSession)
  })
})

describe('fetching an access token', () => {
  it('never answers 401, and says which part is missing', async () => {
    const alice = await brig.register()
    const { access_token: token } = (await access({ cookie: alice.cookie })).body
    const bob = await brig.register()
    expect((await access({})).body).toMatchObject({ message: 'Missing cookie and token' })
    expect((await access({ token })).body).toMatchObject({ message: 'Missing cookie' })
    expect((await access({ cookie: 'nonsense' })).body).toEqual(deadSession)
    expect((await access({ cookie: token as string })).body).toEqual(deadSession)
    expect((await access({ cookie: bob.cookie, token })).body).toEqual(deadSession)
    expect((await access({ cookie: bob.cookie, token: 'nonsense' })).body).toEqual(deadSession)
    expect((await access({ cookie: bob.cookie, token: bob.cookie })).body).toEqual(deadSession)
  })

  it('keeps the connection of an expired token, given in header or query', async () => {
    await using own = await startTestBrig()
    const { cookie } = await own.register()
    const first = (await access({ cookie }, own)).body.access_token as string
    const { connection } = contentOf(first) as { connection: string }
    await own.clock.advance(1_000_000)
    const second = await access({ cookie, token: first }, own)
    expect(contentOf(second.body.access_token as string)).toMatchObject({ connection })
    const path = `/access?access_token=${encodeURIComponent(first)}`
    const third = await own.call('POST', path, { cookie })
    expect(contentOf(third.body.access_token as string)).toMatchObject({ connection })
    const fourth = await access({ cookie }, own)
    expect(contentOf(fourth.body.access_token as string)).not.toMatchObject({ connection })
  })

  it('takes the first of several cookies that counts', async () => {
    const [alice, bob] = [await brig.register(), await brig.register()]
    const reply = await access({ cookie: `broken; zuid=${bob.cookie}; zuid=${alice.cookie}` })
    expect(reply.body.user).toBe(bob.id)
  })

  it('sets no cookie while the old one is young', async () => {
    const alice = await brig.register()
    expect((await access({ cookie: alice.cookie })).cookie).toBeUndefined()
  })

  it('binds the session to a device, and the old cookie leads there too', async () => {
    const alice = await brig.register()
    const client = await addClient(alice.id)
    const bound = await access({ cookie: alice.cookie, client })
    expect(contentOf(bound.body.access_token as string)).toMatchObject({ client })
    expect(contentOf(bound.cookie)).toMatchObject({ client, user: alice.id })

    // Wire's library for Node never looks at the new cookie.
    for (const wanted of [undefined, client]) {
      const again = await access({
        cookie: alice.cookie,
        ...(wanted !== undefined && { client: wanted }),
      })
      expect(contentOf(again.body.access_token as string)).toMatchObject({ client })
      expect(again.cookie).toBe(bound.cookie)
    }
    const successor = await access({ cookie: bound.cookie, client })
    expect(successor.status).toBe(200)
    expect(successor.cookie).toBeUndefined()
  })

  it('refuses another device of a bound session, and unknown ones', async () => {
    const alice = await brig.register()
    const [first, second] = [await addClient(alice.id), await addClient(alice.id)]
    const bound = await access({ cookie: alice.cookie, client: first })
    expect((await access({ cookie: bound.cookie, client: second })).body).toEqual(deadSession)
    expect((await access({ cookie: alice.cookie, client: second })).body).toEqual(deadSession)
    expect((await access({ cookie: alice.cookie, client: 'abcdef' })).body).toEqual(deadSession)
    const bad = await access({ cookie: alice.cookie, client: 'nonsense' })
    expect(bad.body).toMatchObject({ code: 400, label: 'bad-request' })
  })

  it('binds to one device when two requests race', async () => {
    const alice = await brig.register()
    const client = await addClient(alice.id)
    const replies = await Promise.all([1, 2, 3].map(() => access({ cookie: alice.cookie, client })))
    expect(new Set(replies.map(({ cookie }) => cookie)).size).toBe(1)
    const cookies = await brig.call('GET', '/cookies', { as: alice.id })
    expect(cookies.body.cookies).toHaveLength(2)
  })

  it('renews the cookie after fourteen days, and the old one works for fourteen more', async () => {
    await using own = await startTestBrig()
    const { cookie } = await own.register()
    await own.clock.advance(14 * dayMs + 1000)
    const renewed = await access({ cookie }, own)
    expect(renewed.cookie).toBeDefined()
    expect(renewed.headers.get('set-cookie')).toContain('Expires')
    await own.clock.advance(13 * dayMs)
    expect((await access({ cookie }, own)).cookie).toBe(renewed.cookie)
    await own.clock.advance(dayMs)
    expect((await access({ cookie }, own)).body).toEqual(deadSession)
    expect((await access({ cookie: renewed.cookie }, own)).status).toBe(200)
  })

  it('ends with the cookie after 56 days', async () => {
    await using own = await startTestBrig()
    const { cookie } = await own.register()
    await own.clock.advance(56 * dayMs + 1000)
    expect((await access({ cookie }, own)).body).toEqual(deadSession)
  })
})

describe('logging out', () => {
  it('ends the session with all cookies it went through, and clears the browser’s', async () => {
    const alice = await brig.register()
    const client = await addClient(alice.id)
    const bound = await access({ cookie: alice.cookie, client })
    const token = bound.body.access_token as string
    const reply = await brig.call('POST', '/access/logout', { cookie: bound.cookie, token })
    expect(reply.status).toBe(200)
    expect(reply.headers.get('set-cookie')).toMatch(
      /^zuid=; Path=\/access; Expires=Thu, 01 Jan 1970/,
    )
    for (const cookie of [alice.cookie, bound.cookie]) {
      expect((await access({ cookie })).body).toEqual(deadSession)
    }
  })

  it('needs cookie and token', async () => {
    const alice = await brig.register()
    const logout = (credentials: object) => brig.call('POST', '/access/logout', credentials)
    expect((await logout({})).body.message).toBe('Missing cookie and token')
    expect((await logout({ cookie: alice.cookie })).body).toEqual(deadSession)
    expect((await access({ cookie: alice.cookie })).status).toBe(200)
  })
})

describe('the sessions of a user', () => {
  it('are listed with their labels', async () => {
    const alice = await brig.register({ label: 'one' })
    await brig.login(alice.email, { label: 'two' }, false)
    const list = async (query: string) => {
      const reply = await brig.call('GET', `/cookies${query}`, { as: alice.id })
      const cookies = reply.body.cookies as { label?: string; type: string }[]
      return cookies.map(({ label, type }) => `${label} ${type}`).toSorted()
    }
    expect(await list('')).toEqual(['one persistent', 'two session'])
    expect(await list('?labels=two,three')).toEqual(['two session'])
  })

  it('are removed by label, by id, or all at once, with the password', async () => {
    const alice = await brig.register({ label: 'one' })
    const two = await brig.login(alice.email, { label: 'two' })
    const three = await brig.login(alice.email, { label: 'three' })
    const remove = (body: object) =>
      brig.call('POST', '/cookies/remove', { as: alice.id, body: { password, ...body } })
    expect((await remove({ password: 'wrong one' })).body).toEqual(wrongPassword)
    expect((await remove({ labels: ['one'] })).status).toBe(200)
    expect((await access({ cookie: alice.cookie })).status).toBe(403)

    const { body } = await brig.call('GET', '/cookies?labels=two', { as: alice.id })
    expect((await remove({ ids: [body.cookies[0].id] })).status).toBe(200)
    expect((await access({ cookie: two.cookie })).status).toBe(403)
    expect((await access({ cookie: three.cookie })).status).toBe(200)
    expect((await remove({})).status).toBe(200)
    expect((await access({ cookie: three.cookie })).status).toBe(403)
  })

  it('end with the device that was registered under their label', async () => {
    const alice = await brig.register({ label: 'gone' })
    const client = await addClient(alice.id, { cookie: 'gone' })
    const reply = await brig.call('DELETE', `/clients/${client}`, {
      as: alice.id,
      body: { password },
    })
    expect(reply.status).toBe(200)
    expect((await access({ cookie: alice.cookie })).body).toEqual(deadSession)
  })
})
