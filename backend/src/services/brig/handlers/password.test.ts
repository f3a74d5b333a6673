import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { password, startTestBrig } from '../test-brig.ts'
import type { TestBrig } from '../test-brig.ts'

let brig: TestBrig
beforeAll(async () => {
  brig = await startTestBrig()
})
afterAll(() => brig[Symbol.asyncDispose]())

const next = 'battery staple'

describe('changing the password', () => {
  const change = (as: UserId, body: object) => brig.call('PUT', '/self/password', { as, body })

  it('ends every session, and only the new one logs in', async () => {
    const alice = await brig.register()
    const other = await brig.login(alice.email)
    const reply = await change(alice.id, { old_password: password, new_password: next })
    expect(reply.status).toBe(200)
    for (const cookie of [alice.cookie, other.cookie]) {
      expect((await brig.call('POST', '/access', { cookie })).status).toBe(403)
    }
    expect((await brig.login(alice.email)).status).toBe(403)
    expect((await brig.login(alice.email, { password: next })).status).toBe(200)
  })

  it('refuses a wrong old one, a missing one, the same one and a short one', async () => {
    const alice = await brig.register()
    const wrong = await change(alice.id, { old_password: 'wrong one', new_password: next })
    expect(wrong.body).toMatchObject({ code: 403, message: 'Authentication failed.' })
    expect((await change(alice.id, { new_password: next })).body.label).toBe('invalid-credentials')
    const same = await change(alice.id, { old_password: password, new_password: password })
    expect(same.body).toMatchObject({ code: 409, label: 'password-must-differ' })
    const short = await change(alice.id, { old_password: password, new_password: 'seven77' })
    expect(short.body.label).toBe('bad-request')
    expect((await brig.call('POST', '/access', { cookie: alice.cookie })).status).toBe(200)
  })

  it('is not for guests', async () => {
    const guest = await brig.call('POST', '/register', { body: { name: 'G' } })
    const reply = await change(guest.body.id as UserId, { new_password: next })
    expect(reply.body).toMatchObject({ code: 403, label: 'no-identity' })
  })

  it('says whether there is one', async () => {
    const alice = await brig.register()
    const guest = await brig.call('POST', '/register', { body: { name: 'G' } })
    const head = (as: UserId) => brig.call('HEAD', '/self/password', { as })
    expect((await head(alice.id)).status).toBe(200)
    expect((await head(guest.body.id as UserId)).status).toBe(404)
  })
})

describe('a forgotten password', () => {
  const ask = (email: string) => brig.call('POST', '/password-reset', { body: { email } })
  const complete = (body: object) => brig.call('POST', '/password-reset/complete', { body })

  it('is replaced with the code from a mail, once, and ends every session', async () => {
    const alice = await brig.register()
    expect((await ask(alice.email.toUpperCase())).status).toBe(201)
    const { key, code } = await brig.secretFor(alice.email)
    expect(brig.mails.at(-1)?.headers?.['X-Zeta-Purpose']).toBe('PasswordReset')
    expect(code).toMatch(/^[\w-]{32}$/)
    expect((await complete({ key, code, password: next })).status).toBe(200)
    expect((await brig.login(alice.email, { password: next })).status).toBe(200)
    expect((await brig.call('POST', '/access', { cookie: alice.cookie })).status).toBe(403)
    expect((await complete({ key, code, password })).body).toMatchObject({
      code: 400,
      label: 'invalid-code',
    })
  })

  it('does not tell who has an account', async () => {
    const before = brig.mails.length
    expect((await ask('nobody@example.com')).status).toBe(201)
    expect((await ask('not an address')).status).toBe(201)
    expect((await brig.call('POST', '/password-reset', { body: { phone: '+4930' } })).status).toBe(
      201,
    )
    expect(brig.mails).toHaveLength(before)
  })

  it('stays when the code is wrong, old, or guessed at', async () => {
    await using own = await startTestBrig()
    const alice = await own.register()
    const finish = (body: object) => own.call('POST', '/password-reset/complete', { body })
    await own.call('POST', '/password-reset', { body: { email: alice.email } })
    await expect.poll(() => own.mails.length).toBe(2)
    const { key, code } = await own.secretFor(alice.email)
    const short = await finish({ key, code, password: 'short' })
    expect(short.body.label).toBe('bad-request')
    expect((await finish({ key, code: `${code}x`, password: next })).body.label).toBe(
      'invalid-code',
    )
    await own.clock.advance(3_600_000)
    expect((await finish({ key, code, password: next })).body.label).toBe('invalid-code')
    expect((await own.login(alice.email)).status).toBe(200)
  })
})
