import { expect, it } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import type { RawClient, SelfUser } from '../support/wire/raw.ts'
import type { WireEvent } from '../support/wire/raw-socket.ts'
import { memberPath, newAddress, profilePath, refused, roomPath } from './api.ts'
import { inBothShapes } from './shapes.ts'

type Somebody = Person<'raw'>

const password = 'correct horse battery'
const newPassword = 'staple of batteries'
const authenticationFailed = {
  status: 403,
  json: { label: 'invalid-credentials', message: 'Authentication failed.' },
}

const isUpdateOf =
  ({ user }: Somebody, field: string) =>
  (event: WireEvent): boolean => {
    const changed = event['user'] as Record<string, unknown> | undefined
    return event.type === 'user.update' && changed?.['id'] === user.id && field in changed
  }

inBothShapes(({ person, stranger, mailbox }) => {
  const register = (client: RawClient, account: object) =>
    client.request<SelfUser>('POST', '/register', {
      json: { name: 'Carol', password, ...account },
      token: null,
    })
  const activate = (client: RawClient, secret: object) =>
    client.request('POST', '/activate', { json: secret, token: null })
  const logIn = (client: RawClient, credentials: { email: string; password: string }) =>
    client.request('POST', '/login', { json: credentials, token: null })
  const self = async ({ client }: Somebody): Promise<SelfUser> =>
    (await client.request<SelfUser>('GET', '/self', { expect: 200 })).json

  async function askForCode(client: RawClient, email: string): Promise<string> {
    await client.sendActivationCode(email)
    return (await mailbox().activationFor(email)).code
  }

  it('registers with a code that was mailed, and is logged in by that', async () => {
    const carol = stranger()
    const email = newAddress('carol')
    const code = await askForCode(carol, email)
    const reply = await register(carol, { email, email_code: code, locale: 'de', accent_id: 3 })
    expect(reply).toMatchObject({
      status: 201,
      json: { name: 'Carol', email, locale: 'de', accent_id: 3, assets: [], status: 'active' },
    })
    expect(reply.headers.get('location')).toContain(reply.json.id)
    expect(reply.headers.getSetCookie()).toHaveLength(1)
    expect(carol.jar.get('zuid')).toMatchObject({
      path: '/access',
      httpOnly: true,
      secure: true,
      expiresAtMs: expect.any(Number) as number,
    })
    await carol.access()
    expect((await carol.request('GET', '/self')).json).toEqual(reply.json)
  })

  it('registers first and activates later, and cannot log in between', async () => {
    const carol = stranger()
    const email = newAddress('carol')
    expect((await register(carol, { email })).status).toBe(201)
    expect(await logIn(carol, { email, password })).toMatchObject(
      refused(403, 'pending-activation'),
    )

    const { code } = await mailbox().activationFor(email)
    expect((await activate(carol, { email, code, dryrun: true })).status).toBe(200)
    expect((await logIn(carol, { email, password })).status).toBe(403)
    expect(await activate(carol, { email, code })).toMatchObject({
      status: 200,
      json: { email, first: true },
    })
    expect((await activate(carol, { email, code })).status).toBe(204)
    await carol.login({ email, password })
  })

  it('activates by the link of the mail', async () => {
    const carol = stranger()
    const email = newAddress('carol')
    await register(carol, { email })
    const { key, code } = await mailbox().activationFor(email)
    const reply = await carol.request('GET', '/activate', { query: { key, code }, token: null })
    expect(reply).toMatchObject({ status: 200, json: { email, first: true } })
    await carol.login({ email, password })
  })

  it('takes a code three times at most', async () => {
    const carol = stranger()
    const email = newAddress('carol')
    const code = await askForCode(carol, email)
    const wrong = code === '123456' ? '654321' : '123456'
    for (let tries = 0; tries < 3; tries += 1) {
      expect(await register(carol, { email, email_code: wrong })).toMatchObject(
        refused(404, 'invalid-code'),
      )
    }
    expect(await register(carol, { email, email_code: code })).toMatchObject(
      refused(404, 'invalid-code'),
    )
    expect(
      (await register(carol, { email, email_code: await askForCode(carol, email) })).status,
    ).toBe(201)
  })

  it('refuses addresses that are taken, no addresses, or not wanted', async () => {
    const alice = await person('alice')
    const carol = stranger()
    const attempts = [
      [alice.email, 409, 'key-exists'],
      [alice.email.toUpperCase(), 409, 'key-exists'],
      ['nobody', 400, 'invalid-email'],
      ['refused@example.org', 403, 'blacklisted-email'],
    ] as const
    for (const [email, status, label] of attempts) {
      expect(await register(carol, { email })).toMatchObject(refused(status, label))
      expect(
        await carol.request('POST', '/activate/send', { json: { email }, token: null }),
      ).toMatchObject(refused(status, label))
    }
    const email = 'anybody@refused.example'
    expect(await carol.request('POST', '/activate/send', { json: { email } })).toMatchObject(
      refused(451, 'domain-blocked-for-registration'),
    )
    expect(
      await register(carol, { email: newAddress('x'), invitation_code: 'none' }),
    ).toMatchObject(refused(400, 'invalid-invitation-code'))
  })

  it('shows a changed profile to contacts and to the own devices', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    await alice.connectsWith(bob)
    const phone = await alice.takesAnotherDevice()
    const change = { name: 'Alíce', accent_id: 5, text_status: 'at lunch' }
    await alice.client.request('PUT', '/self', { json: change, expect: 200 })

    for (const witness of [bob, phone]) {
      const { event } = await witness.sees(isUpdateOf(alice, 'name'))
      expect(event['user']).toMatchObject({ id: alice.user.id, ...change })
    }
    const profile = await bob.client.request('GET', profilePath(alice))
    expect(profile.json).toMatchObject({ ...change, handle: alice.handle, assets: [] })
    expect(await self(alice)).toMatchObject(change)
  })

  it('changes the language of mails', async () => {
    const alice = await person('alice')
    await alice.client.request('PUT', '/self/locale', { json: { locale: 'de-DE' }, expect: 200 })
    expect(await self(alice)).toMatchObject({ locale: 'de-DE' })
  })

  it('does not let a user give up MLS again', async () => {
    const alice = await person('alice')
    const announce = (supported_protocols: string[]) =>
      alice.client.request('PUT', '/self/supported-protocols', { json: { supported_protocols } })
    expect((await announce(['proteus', 'mls'])).status).toBe(200)
    expect(await announce(['proteus'])).toMatchObject({ status: 409 })
    const path = `${profilePath(alice)}/supported-protocols`
    expect((await alice.client.request('GET', path)).json).toEqual(['proteus', 'mls'])
  })

  it('ends all sessions when the password changes', async () => {
    const alice = await person('alice')
    const { client, email } = alice
    const change = (json: Readonly<Record<string, string>>) =>
      client.request('PUT', '/self/password', { json })
    expect((await client.request('HEAD', '/self/password')).status).toBe(200)
    expect(await change({ old_password: 'not this one', new_password: newPassword })).toMatchObject(
      authenticationFailed,
    )
    expect(await change({ old_password: password, new_password: password })).toMatchObject(
      refused(409, 'password-must-differ'),
    )
    expect((await change({ old_password: password, new_password: newPassword })).status).toBe(200)

    expect(await client.request('POST', '/access')).toMatchObject({
      status: 403,
      json: { label: 'invalid-credentials', message: 'Invalid token' },
    })
    expect(await logIn(client, { email, password })).toMatchObject(authenticationFailed)
    await client.login({ email, password: newPassword })
  })

  it('replaces a forgotten password with a mailed code, once', async () => {
    const alice = await person('alice')
    const forgetful = stranger()
    const ask = (email: string) => forgetful.request('POST', '/password-reset', { json: { email } })
    const complete = (secret: { key: string; code: string }) =>
      forgetful.request('POST', '/password-reset/complete', {
        json: { ...secret, password: newPassword },
      })

    expect((await ask(newAddress('nobody'))).status).toBe(201)
    expect((await ask(alice.email)).status).toBe(201)
    const secret = await mailbox().secretFor(alice.email, 'PasswordReset')
    expect(await complete({ ...secret, code: 'wrong' })).toMatchObject(refused(400, 'invalid-code'))
    expect((await complete(secret)).status).toBe(200)
    expect(await complete(secret)).toMatchObject(refused(400, 'invalid-code'))

    expect((await alice.client.request('POST', '/access')).status).toBe(403)
    await forgetful.login({ email: alice.email, password: newPassword })
  })

  it('changes the address once the code that was mailed to the new one came back', async () => {
    const alice = await person('alice')
    const phone = await alice.takesAnotherDevice()
    const { client, email: oldAddress } = alice
    const email = newAddress('alice')
    const change = (address: string) =>
      client.request('PUT', '/access/self/email', { json: { email: address } })

    const bob = await person('bob')
    expect(await change(bob.email)).toMatchObject(refused(409, 'key-exists'))
    expect((await change(oldAddress)).status).toBe(204)
    expect((await change(email)).status).toBe(202)
    expect(await self(alice)).toMatchObject({ email: oldAddress, email_unvalidated: email })

    const secret = await mailbox().activationFor(email)
    expect(await activate(client, secret)).toMatchObject({
      status: 200,
      json: { email, first: false },
    })
    const { event } = await phone.sees(isUpdateOf(alice, 'email'))
    expect(event['user']).toMatchObject({ email })
    expect((await self(alice)).email).toBe(email)
    await stranger().login({ email, password })
    expect(await logIn(stranger(), { email: oldAddress, password })).toMatchObject(
      authenticationFailed,
    )
  })

  it('keeps the only address of an account', async () => {
    const alice = await person('alice')
    expect(await alice.client.request('DELETE', '/self/email')).toMatchObject(
      refused(403, 'last-identity'),
    )
  })

  it('deletes an account with the password, and everybody is told', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    const group = await alice.creates('Lunch', [bob])
    const remove = (json: Readonly<Record<string, string>>) =>
      alice.client.request('DELETE', '/self', { json })
    expect(await remove({ password: 'not this one' })).toMatchObject(authenticationFailed)
    expect((await remove({ password })).status).toBe(200)

    const { event } = await bob.sees('user.delete')
    expect(event).toMatchObject({ id: alice.user.id, qualified_id: alice.user })
    const leave = await bob.sees(
      ({ type, qualified_conversation: room }) =>
        type === 'conversation.member-leave' && room?.id === group.id.id,
    )
    expect(leave.event.data).toMatchObject({
      reason: 'user-deleted',
      qualified_user_ids: [alice.user],
    })
    const { json } = await bob.client.request('GET', roomPath(group), { expect: 200 })
    expect(json).toMatchObject({ members: { others: [] } })
    expect((await bob.client.request('DELETE', memberPath(group, alice))).status).toBe(204)

    const again = stranger()
    expect(await logIn(again, { email: alice.email, password })).toMatchObject(authenticationFailed)
    expect((await alice.client.request('POST', '/access')).status).toBe(403)
    const code = await askForCode(again, alice.email)
    expect((await register(again, { email: alice.email, email_code: code })).status).toBe(201)
    const claim = { json: { handle: alice.handle }, expect: 200 }
    await again.access()
    await again.request('PUT', '/self/handle', claim)
  })

  it('deletes an account without the password only by a mailed code', async () => {
    const alice = await person('alice')
    const bob = await person('bob')
    await alice.connectsWith(bob)
    const ask = () => alice.client.request('DELETE', '/self', { json: {} })
    expect(await ask()).toMatchObject({
      status: 202,
      json: { expires_in: expect.any(Number) as number },
    })
    expect(await ask()).toMatchObject(refused(403, 'pending-delete'))

    const secret = await mailbox().secretFor(alice.email, 'Delete')
    const confirm = (json: object) => stranger().request('POST', '/delete', { json })
    expect(await confirm({ ...secret, code: 'wrong' })).toMatchObject(refused(403, 'invalid-code'))
    expect((await confirm(secret)).status).toBe(200)
    await bob.sees('user.delete')
  })

  it('tells apps what they ask before anybody is logged in', async () => {
    const app = stranger()
    const email = newAddress('carol')
    const registration = { json: { email }, token: null }
    expect(await app.request('POST', '/get-domain-registration', registration)).toMatchObject({
      status: 200,
      json: { domain_redirect: 'none' },
    })
    expect(await app.request('GET', '/system/settings/unauthorized')).toMatchObject({
      status: 200,
      json: { setRestrictUserCreation: false },
    })
    const verification = { json: { action: 'login', email }, token: null }
    expect((await app.request('POST', '/verification-code/send', verification)).status).toBe(200)
  })
})
