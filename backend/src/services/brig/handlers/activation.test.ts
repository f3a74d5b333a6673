import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { password, startTestBrig } from '../test-brig.ts'
import type { TestBrig } from '../test-brig.ts'

let brig: TestBrig
beforeAll(async () => {
  brig = await startTestBrig()
})
afterAll(() => brig[Symbol.asyncDispose]())

const send = (email: string, fields: object = {}) =>
  brig.call('POST', '/activate/send', { body: { email, ...fields } })
const activate = (body: object) =>
  brig.call('POST', '/activate', { body: { dryrun: false, ...body } })

describe('an activation code', () => {
  it('comes by mail, with the headers that Wire’s test clients read', async () => {
    expect((await send('alice@example.com')).status).toBe(200)
    const mail = brig.mails.at(-1)
    expect(mail?.to).toBe('alice@example.com')
    expect(mail?.headers?.['X-Zeta-Purpose']).toBe('Activation')
    expect(mail?.headers?.['X-Zeta-Code']).toMatch(/^\d{6}$/)
    expect(mail?.headers?.['X-Zeta-Key']).toMatch(/^[\w-]{43}$/)
    expect(mail?.text).toContain(mail?.headers?.['X-Zeta-Code'])
    expect(mail?.html).toContain(mail?.headers?.['X-Zeta-Code'])
  })

  it('can be checked before the account is there, without using it up', async () => {
    const email = 'dry@example.com'
    await send(email)
    const { code } = await brig.secretFor(email)
    for (let i = 0; i < 5; i += 1) {
      const reply = await activate({ email, code, dryrun: true })
      expect(reply.body).toEqual({ email, first: true })
    }
    expect((await activate({ email, code })).body.label).toBe('invalid-code')
    const body = { name: 'Dry', email, email_code: code, password }
    expect((await brig.call('POST', '/register', { body })).status).toBe(201)
  })

  it('is dead after three wrong guesses, also when they are made at the same moment', async () => {
    const email = 'guesses@example.com'
    await send(email)
    const { code } = await brig.secretFor(email)
    const guesses = Array.from({ length: 8 }, (_, i) => String(i).repeat(6)).filter(
      (g) => g !== code,
    )
    await Promise.all(guesses.map((guess) => activate({ email, code: guess, dryrun: true })))
    expect((await activate({ email, code, dryrun: true })).body.label).toBe('invalid-code')
    await send(email)
    const fresh = await brig.secretFor(email)
    expect((await activate({ email, code: fresh.code, dryrun: true })).status).toBe(200)
  })

  it('is replaced by the next one', async () => {
    const email = 'twice@example.com'
    await send(email)
    const first = await brig.secretFor(email)
    await send(email)
    const second = await brig.secretFor(email)
    if (first.code !== second.code) {
      expect((await activate({ email, code: first.code, dryrun: true })).status).toBe(404)
    }
    expect(
      (await activate({ key: `${second.key}=`, code: second.code, dryrun: true })).status,
    ).toBe(200)
  })

  it('ends after fourteen days', async () => {
    await using own = await startTestBrig()
    const email = 'late@example.com'
    await own.call('POST', '/activate/send', { body: { email } })
    const { code } = await own.secretFor(email)
    await own.clock.advance(14 * 86_400_000 + 1)
    const body = { email, code, dryrun: true }
    expect((await own.call('POST', '/activate', { body })).body.label).toBe('invalid-code')
  })

  it('activates once, and answers 204 from then on', async () => {
    const email = 'once@example.com'
    const { body } = await brig.call('POST', '/register', { body: { name: 'O', email, password } })
    const { key, code } = await brig.secretFor(email)
    expect((await activate({ key, code })).body).toEqual({ email, first: true })
    expect((await activate({ key, code })).status).toBe(204)
    expect((await brig.call('GET', `/activate?key=${key}&code=${code}`)).status).toBe(204)
    const self = await brig.call('GET', '/self', { as: body.id as UserId })
    expect(self.body.email).toBe(email)
    expect(self.body.email_unvalidated).toBeUndefined()
  })

  it('can be sent again to an account that waits for it', async () => {
    const email = 'again@example.com'
    const account = await brig.call('POST', '/register', { body: { name: 'A', email, password } })
    await brig.secretFor(email)
    await send(email)
    const { key, code } = await brig.secretFor(email)
    expect((await activate({ key, code })).body.first).toBe(true)
    expect((await brig.login(email)).body.user).toBe(account.body.id)
  })

  it('is refused for an address that has an account, or is none', async () => {
    const { email } = await brig.register()
    expect((await send(email)).body).toMatchObject({ code: 409, label: 'key-exists' })
    expect((await send('none')).body).toMatchObject({ code: 400, label: 'invalid-email' })
    expect((await activate({ email: 'none', code: '1' })).body.label).toBe('invalid-email')
    expect((await activate({ code: '1' })).body.label).toBe('bad-request')
  })

  it('is 503 when mail is down, and works when asked again', async () => {
    const email = 'down@example.com'
    brig.failing.push('mail')
    const reply = await send(email)
    expect(reply.body).toMatchObject({ code: 503, label: 'service-unavailable' })
    expect(reply.headers.get('retry-after')).not.toBeNull()
    expect((await send(email)).status).toBe(200)
  })

  it('goes out later when mail is down while somebody registers', async () => {
    const email = 'later@example.com'
    brig.failing.push('mail')
    const body = { name: 'L', email, password }
    expect((await brig.call('POST', '/register', { body })).status).toBe(201)
    expect(brig.mails.some(({ to }) => to === email)).toBe(false)
    await brig.clock.advance(5_000)
    await expect.poll(() => brig.mails.some(({ to }) => to === email)).toBe(true)
  })

  it('is completed by the next attempt when telling the devices failed', async () => {
    const email = 'interrupted@example.com'
    const account = await brig.call('POST', '/register', { body: { name: 'I', email, password } })
    const { key, code } = await brig.secretFor(email)
    brig.failing.push(...Array.from({ length: 12 }, () => 'push'))
    const reply = await brig.whileTimePasses(activate({ key, code }))
    expect(reply.status).toBe(503)
    brig.failing.length = 0
    expect((await activate({ key, code })).status).toBe(200)
    expect(brig.eventsOf(account.body.id as UserId)).toHaveLength(1)
    expect((await activate({ key, code })).status).toBe(204)
  })
})

describe('changing the address', () => {
  const change = async (account: { id: UserId; cookie: string }, email: string) => {
    const access = await brig.call('POST', '/access', { cookie: account.cookie })
    const token = access.body.access_token as string
    const { cookie } = account
    return brig.call('PUT', '/access/self/email', { cookie, token, body: { email } })
  }

  it('takes effect when the code came back, and frees the old one', async () => {
    const alice = await brig.register()
    expect((await change(alice, 'new-alice@example.com')).status).toBe(202)
    expect((await brig.login(alice.email)).status).toBe(200)
    const waiting = await brig.call('GET', '/self', { as: alice.id })
    expect(waiting.body).toMatchObject({
      email: alice.email,
      email_unvalidated: 'new-alice@example.com',
    })
    const { key, code } = await brig.secretFor('new-alice@example.com')
    const activated = await activate({ key, code })
    expect(activated.body).toEqual({ email: 'new-alice@example.com', first: false })
    expect(brig.eventsOf(alice.id).at(-1)).toEqual({
      type: 'user.update',
      user: { id: alice.id, email: 'new-alice@example.com', sso_id_deleted: false },
    })
    expect((await brig.login(alice.email)).status).toBe(403)
    expect((await brig.login('new-alice@example.com')).status).toBe(200)
    expect((await brig.register({ email: alice.email })).id).not.toBe(alice.id)
  })

  it('answers 204 for the same address, and refuses one that somebody has', async () => {
    const alice = await brig.register()
    const bob = await brig.register()
    expect((await change(alice, alice.email.toUpperCase())).status).toBe(204)
    expect((await change(alice, bob.email)).body).toMatchObject({ code: 409, label: 'key-exists' })
    expect((await change(alice, 'none')).body).toMatchObject({ code: 400, label: 'invalid-email' })
  })

  it('is refused when somebody registers with it before the code comes back', async () => {
    const alice = await brig.register()
    const email = 'contested@example.com'
    await change(alice, email)
    const { key, code } = await brig.secretFor(email)
    await brig.register({ email })
    // The code of the change was replaced by the one of the registration.
    expect((await activate({ key, code })).status).toBe(404)
    expect((await brig.call('GET', '/self', { as: alice.id })).body.email).toBe(alice.email)
  })

  it('needs cookie and token, of the same user', async () => {
    const alice = await brig.register()
    const bob = await brig.register()
    const access = await brig.call('POST', '/access', { cookie: bob.cookie })
    const token = access.body.access_token as string
    const put = (credentials: object) =>
      brig.call('PUT', '/access/self/email', { ...credentials, body: { email: 'x@example.com' } })
    expect((await put({})).body.message).toBe('Missing cookie and token')
    expect((await put({ token })).body.message).toBe('Missing cookie')
    expect((await put({ cookie: alice.cookie })).body.message).toBe('Invalid token')
    expect((await put({ cookie: alice.cookie, token })).body.message).toBe('Invalid token')
  })

  it('is 503 when mail is down, and can be asked for again', async () => {
    const alice = await brig.register()
    brig.failing.push('mail')
    expect((await change(alice, 'retry@example.com')).status).toBe(503)
    expect((await change(alice, 'retry@example.com')).status).toBe(202)
  })
})

describe('removing the address', () => {
  it('is refused while there is no other identity', async () => {
    const alice = await brig.register()
    const guest = await brig.call('POST', '/register', { body: { name: 'G' } })
    const remove = (as: UserId) => brig.call('DELETE', '/self/email', { as })
    expect((await remove(alice.id)).body).toMatchObject({ code: 403, label: 'last-identity' })
    expect((await remove(guest.body.id as UserId)).body).toMatchObject({
      code: 403,
      label: 'no-identity',
    })
  })
})

describe('asking where an address belongs', () => {
  it.each([8, 9, 10, 15])('is answered with nowhere else in version %i', async (version) => {
    const body = { email: 'a@example.com' }
    const reply = await brig.call('POST', '/get-domain-registration', { version, body })
    expect(reply.body).toEqual({ domain_redirect: 'none' })
  })

  it('is refused for what is no address', async () => {
    const reply = await brig.call('POST', '/get-domain-registration', { body: { email: 'x' } })
    expect(reply.body).toMatchObject({ code: 400, label: 'invalid-domain' })
  })
})

describe('a code for the second factor', () => {
  it('is never sent, because nobody has it switched on', async () => {
    const before = brig.mails.length
    const body = { action: 'login', email: 'a@example.com' }
    expect((await brig.call('POST', '/verification-code/send', { body })).status).toBe(200)
    expect(brig.mails).toHaveLength(before)
  })
})
