import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { startTestBrig, password } from '../test-brig.ts'
import type { TestBrig } from '../test-brig.ts'

let brig: TestBrig
beforeAll(async () => {
  brig = await startTestBrig()
})
afterAll(() => brig[Symbol.asyncDispose]())

const hourSeconds = 3600

describe('registering', () => {
  it('with a mailed code makes an active account with a session', async () => {
    const email = 'Fresh@Example.com'
    await brig.call('POST', '/activate/send', { body: { email } })
    const { code } = await brig.secretFor(email)
    const asset = {
      key: '3-1-5c1a1f2e-4b1d-4a58-8a0d-000000000001',
      type: 'image',
      size: 'preview',
    }
    const reply = await brig.call('POST', '/register', {
      body: {
        name: 'Fresh',
        email,
        email_code: code,
        password,
        locale: 'de-ch',
        accent_id: 3,
        assets: [asset],
        label: 'browser',
      },
    })
    expect(reply.status).toBe(201)
    expect(reply.headers.get('location')).toBe(reply.body.id)
    expect(reply.headers.get('set-cookie')).toMatch(
      /^zuid=[^;]+; Path=\/access; Expires=[^;]+; HttpOnly; Secure$/,
    )
    expect(reply.body).toEqual({
      id: reply.body.id,
      qualified_id: { domain: 'tricord.internal', id: reply.body.id },
      name: 'Fresh',
      email,
      locale: 'de-CH',
      accent_id: 3,
      assets: [asset],
      picture: [],
      status: 'active',
      managed_by: 'wire',
      supported_protocols: ['proteus'],
      type: 'regular',
      searchable: true,
    })
    expect(brig.documents.get(reply.body.id as UserId)?.name).toBe('Fresh')
    const access = await brig.call('POST', '/access', { cookie: reply.cookie })
    expect(access.status).toBe(200)
  })

  it('without a code leaves an account that cannot log in until the mailed code came back', async () => {
    const email = 'pending@example.com'
    const reply = await brig.call('POST', '/register', { body: { name: 'P', email, password } })
    expect(reply.status).toBe(201)
    expect(reply.body.email).toBeUndefined()
    expect(reply.body.email_unvalidated).toBe(email)
    expect(brig.documents.has(reply.body.id as UserId)).toBe(false)

    const early = await brig.login(email)
    expect(early.body).toMatchObject({ code: 403, label: 'pending-activation' })
    const { key, code } = await brig.secretFor(email)
    const activated = await brig.call('GET', `/activate?key=${key}&code=${code}`)
    expect(activated.body).toEqual({ email, first: true })
    expect((await brig.login(email)).status).toBe(200)
    expect(brig.documents.has(reply.body.id as UserId)).toBe(true)
    expect(brig.eventsOf(reply.body.id as UserId)).toMatchObject([
      { type: 'user.activate', user: { email, id: reply.body.id } },
    ])
  })

  it('without an address makes a guest, with a session that ends with the browser', async () => {
    const body = { name: 'Guest', expires_in: hourSeconds }
    const reply = await brig.call('POST', '/register', { body })
    expect(reply.status).toBe(201)
    expect(reply.body).toMatchObject({
      status: 'ephemeral',
      expires_at: new Date(brig.clock.nowMs() + hourSeconds * 1000).toISOString(),
    })
    expect(reply.headers.get('set-cookie')).not.toContain('Expires')
  })

  it('refuses an address that somebody has, in any case', async () => {
    const { email } = await brig.register()
    const body = { name: 'Other', email: email.toUpperCase(), password }
    const reply = await brig.call('POST', '/register', { body })
    expect(reply.body).toMatchObject({ code: 409, label: 'key-exists' })
  })

  it('lets one of two who race for an address win, and nothing stays of the other', async () => {
    const email = 'race@example.com'
    await brig.call('POST', '/activate/send', { body: { email } })
    const { code } = await brig.secretFor(email)
    const body = { name: 'R', email, email_code: code, password }
    const replies = await Promise.all([1, 2].map(() => brig.call('POST', '/register', { body })))
    expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409])
    const winner = replies.find(({ status }) => status === 201)
    expect((await brig.login(email)).body.user).toBe(winner?.body.id)
  })

  it('refuses a wrong code, and any code after three wrong ones', async () => {
    const email = 'guess@example.com'
    await brig.call('POST', '/activate/send', { body: { email } })
    const { code } = await brig.secretFor(email)
    const wrong = code === '000000' ? '000001' : '000000'
    const attempt = (email_code: string) =>
      brig.call('POST', '/register', { body: { name: 'G', email, email_code, password } })
    for (let i = 0; i < 3; i += 1) {
      expect((await attempt(wrong)).body).toMatchObject({ code: 404, label: 'invalid-code' })
    }
    expect((await attempt(code)).body.label).toBe('invalid-code')
  })

  it.each([
    [{ name: 'A', email: 'nonsense', password }, 400, 'invalid-email'],
    [{ name: 'A', email: 'a@example.com', password: 'short77' }, 400, 'bad-request'],
    [{ name: '', email: 'a@example.com', password }, 400, 'bad-request'],
    [{ name: 'A'.repeat(129) }, 400, 'bad-request'],
    [{ name: 'A', expires_in: 604_801 }, 400, 'bad-request'],
    [{ name: 'A', email: 'a@example.com', team_code: 'abc' }, 400, 'invalid-invitation-code'],
    [{ name: 'A', email: 'a@example.com', invitation_code: 'x' }, 400, 'invalid-invitation-code'],
    [
      { name: 'A', email: 'a@example.com', team: { name: 'T', icon: 'default' } },
      403,
      'user-creation-restricted',
    ],
  ])('refuses %j', async (body, status, label) => {
    const reply = await brig.call('POST', '/register', { body })
    expect(reply.body).toMatchObject({ code: status, label })
  })

  it.each([8, 11, 12, 14, 15])('answers in the shape of version %i', async (version) => {
    const reply = await brig.call('POST', '/register', { version, body: { name: 'V' } })
    expect(reply.status).toBe(201)
    expect('type' in reply.body).toBe(version >= 15)
    expect('searchable' in reply.body).toBe(version >= 12)
  })

  it('is refused where the operator closed it', async () => {
    await using closed = await startTestBrig({
      config: { registration: { isOpen: false, takesGuests: false } },
    })
    const person = { name: 'A', email: 'a@example.com', password }
    const refused = await closed.call('POST', '/register', { body: person })
    expect(refused.body).toMatchObject({ code: 403, label: 'user-creation-restricted' })
    const guest = await closed.call('POST', '/register', { body: { name: 'G' } })
    expect(guest.body).toMatchObject({ code: 403, label: 'ephemeral-user-creation-disabled' })
    const settings = await closed.call('GET', '/system/settings/unauthorized')
    expect(settings.body).toEqual({ setRestrictUserCreation: true })
  })

  it('refuses addresses and domains that the operator does not want', async () => {
    await using strict = await startTestBrig({
      config: {
        registration: { refusedAddresses: ['Bad@example.com'], refusedDomains: ['spam.example'] },
      },
    })
    const register = (email: string) =>
      strict.call('POST', '/register', { body: { name: 'A', email, password } })
    const send = (email: string) => strict.call('POST', '/activate/send', { body: { email } })
    expect((await register('bad@Example.com')).body.label).toBe('blacklisted-email')
    expect((await register('x@spam.example')).body.label).toBe('blacklisted-email')
    expect((await send('bad@example.com')).body).toMatchObject({
      code: 403,
      label: 'blacklisted-email',
    })
    expect((await send('x@spam.example')).body).toMatchObject({
      code: 451,
      label: 'domain-blocked-for-registration',
    })
  })

  it('counts new passwords by address, and by network with IPv6', async () => {
    await using limited = await startTestBrig({ config: { passwords: {} } })
    const register = (address: string, n: number) =>
      limited.call('POST', '/register', {
        address,
        body: { name: 'A', email: `user${n}@example.com`, password },
      })
    for (let i = 0; i < 5; i += 1) {
      expect((await register(`2001:db8::${i}`, i)).status).toBe(201)
    }
    const refused = await register('2001:db8::99', 5)
    expect(refused.body).toMatchObject({ code: 429, label: 'too-many-requests' })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(200)
    expect((await register('2001:db8:1::1', 6)).status).toBe(201)
  })
})

describe('deleting an account', () => {
  it('with the password takes it out of everything', async () => {
    const alice = await brig.register({ name: 'Alice' })
    await brig.call('PUT', '/self/handle', { as: alice.id, body: { handle: 'leaving' } })
    brig.calls.length = 0
    const reply = await brig.call('DELETE', '/self', { as: alice.id, body: { password } })
    expect(reply.status).toBe(200)

    expect(brig.calls).toEqual(expect.arrayContaining(['removeUser', 'closeInbox', 'unindex']))
    expect(brig.eventsOf(alice.id).at(-1)).toEqual({
      type: 'user.delete',
      id: alice.id,
      qualified_id: { domain: 'tricord.internal', id: alice.id },
    })
    expect(brig.documents.has(alice.id)).toBe(false)
    expect((await brig.login(alice.email)).body.label).toBe('invalid-credentials')
    const access = await brig.call('POST', '/access', { cookie: alice.cookie })
    expect(access.body).toMatchObject({ code: 403, message: 'Invalid token' })
    expect((await brig.call('GET', '/self', { as: alice.id })).status).toBe(404)
  })

  it('frees address and handle for somebody else', async () => {
    const alice = await brig.register()
    await brig.call('PUT', '/self/handle', { as: alice.id, body: { handle: 'inherited' } })
    await brig.call('DELETE', '/self', { as: alice.id, body: { password } })
    const heir = await brig.register({ email: alice.email })
    expect(heir.id).not.toBe(alice.id)
    const body = { handle: 'inherited' }
    expect((await brig.call('PUT', '/self/handle', { as: heir.id, body })).status).toBe(200)
  })

  it('without the password needs the code from a mail', async () => {
    const alice = await brig.register()
    const asked = await brig.call('DELETE', '/self', { as: alice.id, body: {} })
    expect(asked.status).toBe(202)
    expect(asked.body).toEqual({ expires_in: 600 })
    const again = await brig.call('DELETE', '/self', { as: alice.id, body: {} })
    expect(again.body).toMatchObject({ code: 403, label: 'pending-delete' })

    const { key, code } = await brig.secretFor(alice.email)
    const wrong = await brig.call('POST', '/delete', { body: { key, code: 'wrong' } })
    expect(wrong.body).toMatchObject({ code: 403, label: 'invalid-code' })
    expect((await brig.call('POST', '/delete', { body: { key, code } })).status).toBe(200)
    expect((await brig.login(alice.email)).body.label).toBe('invalid-credentials')
  })

  it('can be asked for again when the mail did not go out', async () => {
    const alice = await brig.register()
    brig.failing.push('mail')
    expect((await brig.call('DELETE', '/self', { as: alice.id, body: {} })).status).toBe(503)
    expect((await brig.call('DELETE', '/self', { as: alice.id, body: {} })).status).toBe(202)
  })

  it('refuses a wrong password without logging the client out', async () => {
    const alice = await brig.register()
    const body = { password: 'wrong one' }
    const reply = await brig.call('DELETE', '/self', { as: alice.id, body })
    expect(reply.body).toMatchObject({
      code: 403,
      label: 'invalid-credentials',
      message: 'Authentication failed.',
    })
  })

  it('of a guest needs nothing but the session', async () => {
    const guest = await brig.call('POST', '/register', { body: { name: 'G' } })
    const as = guest.body.id as UserId
    expect((await brig.call('DELETE', '/self', { as })).status).toBe(200)
    expect((await brig.call('POST', '/access', { cookie: guest.cookie })).status).toBe(403)
  })

  it.each(['removeUser', 'closeInbox', 'push'])(
    'goes on by itself when %s is not available',
    async (broken) => {
      const alice = await brig.register()
      const failures = broken === 'push' ? 20 : 1
      brig.failing.push(...Array.from({ length: failures }, () => broken))
      const deleting = brig.call('DELETE', '/self', { as: alice.id, body: { password } })
      expect((await brig.whileTimePasses(deleting)).status).toBe(200)
      expect((await brig.login(alice.email)).body.label).toBe('invalid-credentials')

      brig.failing.length = 0
      brig.calls.length = 0
      await brig.clock.advance(brig.config.sweepEverySeconds * 1000)
      await expect.poll(() => brig.calls).toContain('closeInbox')
      await expect
        .poll(() => brig.eventsOf(alice.id).at(-1))
        .toMatchObject({ type: 'user.delete', id: alice.id })
    },
  )
})

describe('a guest', () => {
  it('is gone when the time is over', async () => {
    await using own = await startTestBrig()
    const body = { name: 'G', expires_in: hourSeconds }
    const guest = await own.call('POST', '/register', { body })
    await own.clock.advance(hourSeconds * 1000)
    expect((await own.call('POST', '/access', { cookie: guest.cookie })).status).toBe(403)
    await own.clock.advance(own.config.sweepEverySeconds * 1000)
    await expect.poll(() => own.calls).toContain('removeUser')
    await expect
      .poll(async () => (await own.call('GET', '/self', { as: guest.body.id as UserId })).status)
      .toBe(404)
  })
})
