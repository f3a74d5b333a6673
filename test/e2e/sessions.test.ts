import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import type { StoredCookie } from '../support/wire/cookie-jar.ts'
import type { AccessToken, RawClient } from '../support/wire/raw.ts'
import { refused } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

interface CookieEntry {
  readonly id: number
  readonly type: string
  readonly label?: string
  readonly successor?: number
}

const wrongPassword = {
  status: 403,
  json: { code: 403, label: 'invalid-credentials', message: 'Authentication failed.' },
}
const sessionIsGone = (message: string) => ({
  status: 403,
  json: { code: 403, label: 'invalid-credentials', message },
})

/** The fields of a token, such as `i` for the device and `c` for the connection. */
function fieldsOf(token: string): Record<string, string> {
  const fields = token.split('.').slice(1)
  return Object.fromEntries(fields.map((field) => field.split('=') as [string, string]))
}

function cookieOf(client: RawClient): StoredCookie {
  const cookie = client.jar.get('zuid')
  if (!cookie) throw new Error(`${client.name} has no session`)
  return cookie
}

/** An access token for one cookie, whichever the client keeps. */
const accessWith = (client: RawClient, cookie: string, device?: string) =>
  client.request<AccessToken>('POST', '/access', {
    headers: { cookie: `zuid=${cookie}` },
    query: { client_id: device },
    cookies: false,
    token: null,
  })

inBothShapes(({ person, stranger }) => {
  async function logIn(
    { email, password }: Somebody,
    label?: string,
    options: { isPersistent?: boolean } = {},
  ): Promise<RawClient> {
    const client = stranger()
    await client.login({ email, password, ...(label !== undefined && { label }) }, options)
    return client
  }

  async function cookiesOf({ client }: Somebody, labels?: string): Promise<CookieEntry[]> {
    const query = { labels }
    const reply = await client.request<{ cookies: CookieEntry[] }>('GET', '/cookies', {
      query,
      expect: 200,
    })
    return reply.json.cookies
  }

  const labelsOf = async (owner: Somebody): Promise<unknown[]> =>
    (await cookiesOf(owner)).flatMap(({ label }) => label ?? []).toSorted()

  it('logs in with the address or the handle', async () => {
    const alice = await person('alice')
    const { email, handle, password } = alice
    for (const name of [{ email }, { email: email.toUpperCase() }, { handle }]) {
      const client = stranger()
      expect(await client.login({ ...name, password })).toMatchObject({
        token_type: 'Bearer',
        expires_in: 900,
        user: alice.user.id,
      })
    }
  })

  it('answers a wrong password and an unknown name alike', async () => {
    const alice = await person('alice')
    const { email, password } = alice
    for (const attempt of [
      { email, password: 'not this one' },
      { email: `not.${email}`, password },
      { handle: `not_${alice.handle}`, password },
    ]) {
      const reply = await stranger().request('POST', '/login', { json: attempt })
      expect(reply).toMatchObject(wrongPassword)
      expect(reply.headers.getSetCookie()).toEqual([])
    }
  })

  it('sets one cookie, which outlives the browser only when asked to', async () => {
    const alice = await person('alice')
    const persistent = cookieOf(await logIn(alice, 'phone', { isPersistent: true }))
    const session = cookieOf(await logIn(alice, 'browser', { isPersistent: false }))
    for (const cookie of [persistent, session]) {
      expect(cookie).toMatchObject({ path: '/access', httpOnly: true, secure: true })
      expect(fieldsOf(cookie.value)).toMatchObject({ v: '1', t: 'u', u: alice.user.id })
    }
    expect(persistent.expiresAtMs).toBeDefined()
    expect(session.expiresAtMs).toBeUndefined()
    expect(fieldsOf(session.value)).toMatchObject({ l: 's' })
    const types = (await cookiesOf(alice, 'phone,browser')).map(({ label, type }) => [label, type])
    expect(Object.fromEntries(types)).toEqual({ phone: 'persistent', browser: 'session' })
  })

  it('renews the access token, which keeps its connection, and leaves the cookie alone', async () => {
    const alice = await person('alice')
    const client = await logIn(alice)
    const first = fieldsOf(client.token ?? '')
    const reply = await client.request<AccessToken>('POST', '/access', { expect: 200 })
    expect(reply.headers.getSetCookie()).toEqual([])
    expect(fieldsOf(reply.json.access_token)).toMatchObject({
      v: '1',
      t: 'a',
      u: alice.user.id,
      c: first['c'],
    })
    const { access_token: other } = await client.access({ withToken: false })
    expect(fieldsOf(other)['c']).not.toBe(first['c'])
  })

  it('binds a session to a device, and the replaced cookie still works for it', async () => {
    const alice = await person('alice')
    const client = await logIn(alice)
    const old = cookieOf(client).value
    const device = await client.registerDevice({ password: alice.password })
    const bound = cookieOf(client).value
    expect(bound).not.toBe(old)
    expect(fieldsOf(bound)).toMatchObject({ i: device })
    expect(fieldsOf(client.token ?? '')).toMatchObject({ i: device })

    const late = await accessWith(client, old)
    expect(fieldsOf(late.json.access_token)).toMatchObject({ i: device })
    expect(late.headers.getSetCookie()).toHaveLength(1)
    expect(late.headers.getSetCookie()[0]).toContain(`zuid=${bound};`)

    expect(await accessWith(client, bound, device)).toMatchObject({ status: 200 })
    expect(await accessWith(client, bound, alice.device)).toMatchObject(
      sessionIsGone('Invalid token'),
    )
    const unbound = cookieOf(await logIn(alice)).value
    expect(await accessWith(client, unbound, 'deadbeef')).toMatchObject(
      sessionIsGone('Invalid token'),
    )
  })

  it('says that a session is gone with 403, never with 401', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const client = await logIn(alice)
    const { token } = client
    const access = (headers: Record<string, string>) =>
      client.request('POST', '/access', { cookies: false, token: null, headers })
    const cookie = `zuid=${cookieOf(client).value}`
    const authorization = `Bearer ${token ?? ''}`

    expect(await access({})).toMatchObject(sessionIsGone('Missing cookie and token'))
    expect(await access({ authorization })).toMatchObject(sessionIsGone('Missing cookie'))
    expect(await access({ cookie: 'zuid=nonsense' })).toMatchObject(sessionIsGone('Invalid token'))
    expect(
      await access({ cookie, authorization: `Bearer ${bob.client.token ?? ''}` }),
    ).toMatchObject(sessionIsGone('Invalid token'))
    expect(
      await access({ cookie: `zuid=nonsense; ${cookie}; theme=dark`, authorization }),
    ).toMatchObject({ status: 200 })
  })

  it('ends a session and takes its cookie back', async () => {
    const alice = await person('alice')
    const client = await logIn(alice)
    const ended = cookieOf(client).value
    const reply = await client.request('POST', '/access/logout', { expect: 200 })
    expect(reply.headers.getSetCookie()[0]).toMatch(/^zuid=;.*Path=\/access/)
    expect(client.jar.get('zuid')).toBeUndefined()
    expect(await accessWith(client, ended)).toMatchObject(sessionIsGone('Invalid token'))
    await alice.client.access()
  })

  it('ends the other session of the same label, and tells the devices', async () => {
    const alice = await person('alice')
    const first = await logIn(alice, 'browser')
    const other = await logIn(alice, 'phone')
    await logIn(alice, 'browser')
    await alice.sees('user.session-refresh-suggested')
    expect((await first.request('POST', '/access')).status).toBe(403)
    await other.access()
    expect(await labelsOf(alice)).toEqual(['browser', 'phone'])
  })

  it('removes sessions by label, by id, or all of them', async () => {
    const alice = await person('alice')
    const labels = ['desktop', 'laptop', 'phone', 'tablet']
    for (const label of labels) await logIn(alice, label)
    const remove = (selection: object, password = alice.password) =>
      alice.client.request('POST', '/cookies/remove', { json: { password, ...selection } })

    expect(await remove({}, 'not this one')).toMatchObject(wrongPassword)
    expect(await labelsOf(alice)).toEqual(labels)
    expect((await remove({ labels: ['phone', 'unheard of'] })).status).toBe(200)
    expect(await labelsOf(alice)).toEqual(['desktop', 'laptop', 'tablet'])
    const [tablet] = await cookiesOf(alice, 'tablet')
    expect((await remove({ ids: [tablet?.id] })).status).toBe(200)
    expect(await labelsOf(alice)).toEqual(['desktop', 'laptop'])
    expect((await remove({})).status).toBe(200)
    expect(await cookiesOf(alice)).toEqual([])
    expect((await alice.client.request('POST', '/access')).status).toBe(403)
  })

  it('ends the sessions of a device with the device', async () => {
    const alice = await person('alice')
    const { password } = alice
    const phone = await logIn(alice, 'my phone')
    const device = await phone.registerDevice({ password, cookieLabel: 'my phone' })
    await alice.client.request('DELETE', `/clients/${device}`, { json: { password }, expect: 200 })
    expect((await phone.request('POST', '/access')).status).toBe(403)
    await alice.client.access()
  })

  it("signs Wire's client out when its session was ended elsewhere", async () => {
    const alice = await person('alice', { kind: 'api' })
    const laptop = stranger()
    await laptop.login({ email: alice.email, password: alice.password })
    const json = { password: alice.password }
    await laptop.request('POST', '/cookies/remove', { json, expect: 200 })
    const { accessTokenData } = alice.client.api['accessTokenStore']
    if (!accessTokenData) throw new Error('no access token')
    accessTokenData.access_token = 'expired'
    await expect(alice.client.api.api.self.getSelf([])).rejects.toMatchObject({
      label: 'invalid-credentials',
    })
    expect(alice.client.signOuts).toHaveLength(1)
  })

  it('answers without a version what some clients call without one', async () => {
    const alice = await person('alice')
    const { client, email, password } = alice
    const unversioned = { version: null }
    const app = stranger()
    const supported = [8, 9, 10, 11, 12, 13, 14, 15]
    expect(await app.request('GET', '/api-version', unversioned)).toMatchObject({
      status: 200,
      json: { supported, development: [], federation: false, domain: alice.user.domain },
    })
    const account = { name: 'Guest', password }
    const registration = { json: account, ...unversioned }
    expect((await app.request('POST', '/register', registration)).status).toBe(201)
    const login = { json: { email, password, label: 'unversioned' }, ...unversioned }
    expect((await stranger().request('POST', '/login', login)).status).toBe(200)
    const removal = { json: { password, labels: ['unversioned'] }, ...unversioned }
    expect((await client.request('POST', '/cookies/remove', removal)).status).toBe(200)
    expect(await labelsOf(alice)).toEqual([])
    expect((await client.request('POST', '/access', unversioned)).status).toBe(200)
    await using socket = await client.openAwait()
    await socket.ping()

    // And with one, as other clients do.
    expect((await app.request('GET', '/v9/api-version', unversioned)).status).toBe(200)
    const cookie = { cookie: `zuid=${cookieOf(client).value}` }
    const access = { headers: cookie, ...unversioned }
    expect((await client.request('POST', '/v12/access', access)).status).toBe(200)
  })

  it('does not speak other versions', async () => {
    const alice = await person('alice')
    // A path without a version is one of version 0.
    for (const version of [null, 0, 7, 16, 99]) {
      expect(await alice.client.request('GET', '/self', { version })).toMatchObject(
        refused(404, 'unsupported-version'),
      )
    }
  })
})
