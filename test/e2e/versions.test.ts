import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import {
  newestVersion,
  oldestVersion,
  type EndpointDeclaration,
} from '../../backend/src/contract/endpoint.ts'
import { publicApis } from '../../backend/src/contract/public.ts'
import { checkExchange } from '../conformance/check.ts'
import { isYetToSucceed, shapeOf } from '../conformance/operations.ts'
import { raisedLimits } from '../support/server-process.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { assetBody } from '../support/wire/asset-body.ts'
import { mailbox, type SecretPurpose } from '../support/wire/mailbox.ts'
import { encodeOtrMessage, sameForAll } from '../support/wire/otr-message.ts'
import { newDeviceKeys } from '../support/wire/prekeys.ts'
import { rawClient, type RawClient, type SelfUser } from '../support/wire/raw.ts'
import type { QualifiedId } from '../support/wire/wire-types.ts'
import { newAddress } from './api.ts'

// Every operation of the API, in every version that we announce, answers in the shape of that
// version. One user's life per version; the replies are held against upstream's documents.

const password = 'correct horse battery'
const versions = Array.from(
  { length: newestVersion - oldestVersion + 1 },
  (_, index) => oldestVersion + index,
)

let folder: string
let server: TestServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tricord-versions-'))
  const secretFile = join(folder, 'turn-secret')
  await writeFile(secretFile, 'shared with the relays')
  const uris = ['turn:relay.example:3478?transport=udp']
  server = await startTestServer({
    push: { kind: 'noticeboard' },
    brig: { ...raisedLimits.brig, turn: { kind: 'static', uris, secretFile } },
    galley: {
      customBackends: {
        'elsewhere.example': {
          configUrl: 'https://elsewhere.example/config.json',
          welcomeUrl: 'https://app.elsewhere.example',
        },
      },
    },
  })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** What the clients of one version saw: operations that succeeded, and what was wrong with replies. */
interface Sightings {
  readonly succeeded: Set<string>
  readonly problems: string[]
}

/** A client whose replies are checked one by one. */
function watched(client: RawClient, { succeeded, problems }: Sightings): RawClient {
  const request = client.request.bind(client)
  return Object.assign(client, {
    async request(...args: Parameters<typeof request>) {
      const [method, path, { version = client.version } = {}] = args
      const reply = await request(...args)
      const { status, text: body } = reply
      const headers = Object.fromEntries(reply.headers)
      const isJson = headers['content-type']?.startsWith('application/json') ?? body === ''
      const verdict = checkExchange({
        method,
        path: version === null ? path : `/v${String(version)}${path}`,
        status,
        headers,
        ...(isJson && { body }),
      })
      for (const problem of verdict.problems) {
        problems.push(`${method} ${path} ${String(status)}: ${problem} in ${body.slice(0, 300)}`)
      }
      if (status < 400 && verdict.operation) succeeded.add(shapeOf(verdict.operation))
      return reply
    },
  })
}

type Somebody = RawClient & { user: QualifiedId; device: string; email: string }

/** The steps of a life in one version; each leaves its users as the next may not need them. */
function livesOf(version: number, sightings: Sightings) {
  const unversioned = { version: null, token: null } as const
  const stranger = (): RawClient => watched(rawClient(server.url, { version }), sightings)

  const secretFor = (email: string, purpose: SecretPurpose) =>
    mailbox(server.mailboxUrl).secretFor(email, purpose)

  async function person(name: string): Promise<Somebody> {
    const client = stranger()
    const email = newAddress(name)
    await client.sendActivationCode(email)
    const { code } = await secretFor(email, 'Activation')
    const { qualified_id: user } = await client.register({ email, password, name, code })
    const device = await client.registerDevice({ password })
    return Object.assign(client, { user, device, email })
  }

  async function friends(): Promise<{ alice: Somebody; bob: Somebody; pair: QualifiedId }> {
    const [alice, bob] = await Promise.all([person('alice'), person('bob')])
    const path = (other: Somebody) => `/connections/${other.user.domain}/${other.user.id}`
    await alice.request('POST', path(bob), { expect: 201 })
    const accept = { json: { status: 'accepted' }, expect: 200 }
    const { json } = await bob.request<{ qualified_conversation: QualifiedId }>(
      'PUT',
      path(alice),
      accept,
    )
    await alice.request('GET', path(bob), { expect: 200 })
    await alice.request('POST', '/list-connections', { json: {}, expect: 200 })
    return { alice, bob, pair: json.qualified_conversation }
  }

  async function beforeAnybody(): Promise<void> {
    const app = stranger()
    const fine = { expect: 200, token: null }
    await app.request('GET', `/v${String(version)}/api-version`, { ...unversioned, expect: 200 })
    await app.request('GET', '/system/settings/unauthorized', fine)
    await app.request('GET', '/custom-backend/by-domain/elsewhere.example', fine)
    const email = newAddress('somebody')
    await app.request('POST', '/get-domain-registration', { json: { email }, ...fine })
    const verification = { json: { action: 'login', email }, ...fine }
    await app.request('POST', '/verification-code/send', verification)
  }

  async function accounts(): Promise<void> {
    const app = stranger()
    const fine = { expect: 200 }
    const email = newAddress('carol')
    const account = { email, password, name: 'Carol' }
    const registered = await app.request<SelfUser>('POST', '/register', {
      json: account,
      expect: 201,
    })
    expect('type' in registered.json).toBe(version >= 15)
    const { key, code } = await secretFor(email, 'Activation')
    const dryRun = { json: { key, code, dryrun: true }, ...fine }
    await app.request('POST', '/activate', dryRun)
    await app.request('GET', '/activate', { query: { key, code }, ...fine })
    await app.request('POST', '/activate', { json: { key, code }, expect: 204 })
    await app.login({ email, password })

    await app.request('PUT', '/self', { json: { name: 'Carol II' }, ...fine })
    await app.request('PUT', '/self/locale', { json: { locale: 'de' }, ...fine })
    const supported_protocols = ['proteus']
    await app.request('PUT', '/self/supported-protocols', {
      json: { supported_protocols },
      ...fine,
    })
    const handle = `carol_${key.slice(0, 12).toLowerCase().replaceAll('-', '_')}`
    await app.request('HEAD', `/handles/${handle}`, { expect: 404 })
    await app.request('PUT', '/self/handle', { json: { handle }, ...fine })
    await app.request('HEAD', `/handles/${handle}`, fine)
    await app.request('POST', '/handles', { json: { handles: [handle], return: 1 }, ...fine })
    await app.request('HEAD', '/self/password', fine)
    const self = await app.request<SelfUser>('GET', '/self', fine)
    expect(self.json).toMatchObject({ name: 'Carol II', handle })
    expect('searchable' in self.json).toBe(version >= 12)
    expect('type' in self.json).toBe(version >= 15)
    await app.request('GET', '/system/settings', fine)
    await app.request('GET', '/cookies', fine)
    await app.request('GET', '/calls/config/v2', fine)

    // Under their versioned paths too, where the jar does not send the cookie by itself.
    const cookie = `zuid=${app.jar.get('zuid')?.value ?? ''}`
    const session = { headers: { cookie }, version: null, cookies: false }
    const prefix = `/v${String(version)}/access`
    await app.request('POST', prefix, { ...session, expect: 200 })
    const change = { json: { email: newAddress('carol') }, ...session, expect: 202 }
    await app.request('PUT', `${prefix}/self/email`, change)
    const removal = { json: { password, labels: ['none'] }, ...fine }
    await app.request('POST', '/cookies/remove', removal)
    await app.request('POST', `${prefix}/logout`, { ...session, expect: 200 })

    await app.request('POST', '/password-reset', { json: { email }, expect: 201 })
    const secret = await secretFor(email, 'PasswordReset')
    const renewed = 'staple of batteries'
    const completion = { json: { ...secret, password: renewed }, ...fine }
    await app.request('POST', '/password-reset/complete', completion)
    await app.login({ email, password: renewed })
    const passwords = { old_password: renewed, new_password: password }
    await app.request('PUT', '/self/password', { json: passwords, ...fine })
    await app.request('DELETE', '/self', { json: {}, expect: 202 })
    const confirmation = { json: await secretFor(email, 'Delete'), ...fine }
    await app.request('POST', '/delete', confirmation)

    const guest = await app.request('POST', '/register', { json: { name: 'Gina' }, expect: 201 })
    expect(guest.json).toMatchObject({ status: 'ephemeral' })
  }

  async function people({ alice, bob }: Record<'alice' | 'bob', Somebody>): Promise<void> {
    const fine = { expect: 200 }
    const { domain, id } = bob.user
    const profile = `/users/${domain}/${id}`
    const seen = await alice.request<object>('GET', profile, fine)
    expect('type' in seen.json).toBe(version >= 12)
    await alice.request('GET', `${profile}/supported-protocols`, fine)
    await alice.request('GET', `${profile}/clients`, fine)
    await alice.request('GET', `${profile}/clients/${bob.device}`, fine)
    await alice.request('GET', `${profile}/prekeys`, fine)
    await alice.request('GET', `${profile}/prekeys/${bob.device}`, fine)
    await alice.devicesOf([bob.user])
    const wanted = { [domain]: { [id]: [bob.device, 'deadbeef'] } }
    await alice.request('POST', '/users/list-prekeys', { json: wanted, ...fine })
    await alice.request('POST', '/list-users', { json: { qualified_ids: [bob.user] }, ...fine })
    const handle = `bob_${id.slice(0, 8)}_${String(version)}`
    await bob.request('PUT', '/self/handle', { json: { handle }, ...fine })
    const search = await alice.request('GET', '/search/contacts', { query: { q: handle }, ...fine })
    expect(search.json).toMatchObject({ documents: [{ id, handle }], found: 1 })

    const property = { json: { theme: 'dark' }, ...fine }
    await alice.request('PUT', '/properties/webapp', property)
    await alice.request('GET', '/properties/webapp', fine)
    await alice.request('GET', '/properties', fine)
    await alice.request('GET', '/properties-values', fine)
    await alice.request('DELETE', '/properties/webapp', fine)
    await alice.request('DELETE', '/properties', fine)
  }

  async function devices(alice: Somebody): Promise<void> {
    const fine = { expect: 200 }
    const path = `/clients/${alice.device}`
    const capabilities = ['consumable-notifications']
    await alice.request('PUT', path, { json: { label: 'Desk', capabilities }, ...fine })
    await alice.request('GET', '/clients', fine)
    await alice.request('GET', path, fine)
    await alice.request('GET', `${path}/capabilities`, fine)
    await alice.request('GET', `${path}/prekeys`, fine)
    await alice.request('HEAD', `${path}/nonce`, fine)
    await alice.request('GET', `${path}/nonce`, { expect: 204 })
    const phone = { ...newDeviceKeys(1), type: 'permanent', password }
    const added = await alice.request<{ id: string }>('POST', '/clients', {
      json: phone,
      expect: 201,
    })
    const removal = { json: { password }, ...fine }
    await alice.request('DELETE', `/clients/${added.json.id}`, removal)
  }

  async function conversations({ alice, bob }: Record<'alice' | 'bob', Somebody>): Promise<void> {
    const fine = { expect: 200 }
    const creation = { json: { name: 'Lunch', qualified_users: [bob.user] }, expect: 201 }
    const created = await alice.request<{ qualified_id: QualifiedId; id?: string }>(
      'POST',
      '/conversations',
      creation,
    )
    expect(created.json).toMatchObject({ failed_to_add: [] })
    expect('id' in created.json).toBe(version <= 9)
    expect('parent' in created.json).toBe(version >= 12)
    expect('history' in created.json).toBe(version >= 15)
    const { qualified_id: room } = created.json
    const path = `/conversations/${room.domain}/${room.id}`
    const byId = `/conversations/${room.id}`
    const member = ({ user }: Somebody) => `${path}/members/${user.domain}/${user.id}`

    const read = await bob.request<object>('GET', path, fine)
    expect('id' in read.json).toBe(version <= 9)
    if (version >= 9) await alice.request('GET', `${path}/self`, fine)
    const preferences = { otr_archived: true, otr_archived_ref: 'now' }
    await alice.request('PUT', `${path}/self`, { json: preferences, ...fine })
    const listed = await alice.request('POST', '/conversations/list', {
      json: { qualified_ids: [room] },
      ...fine,
    })
    expect(listed.json).toMatchObject({
      found: [{ id: room.id, members: { self: { otr_archived: true } } }],
    })
    await alice.request('POST', '/conversations/list-ids', { json: {}, ...fine })
    await alice.request('POST', '/conversations/self', { expect: [200, 201] })
    const pair = { json: { qualified_users: [bob.user] }, expect: 200 }
    await alice.request('POST', '/one2one-conversations', pair)
    await alice.request('GET', `${byId}/roles`, fine)

    for (const [what, change] of [
      ['name', { name: 'Dinner' }],
      ['message-timer', { message_timer: 60_000 }],
      ['receipt-mode', { receipt_mode: 1 }],
      [
        'access',
        { access: ['invite', 'code'], access_role: ['team_member', 'non_team_member', 'guest'] },
      ],
    ] as const) {
      await alice.request('PUT', `${path}/${what}`, { json: change, expect: 200 })
      await alice.request('PUT', `${path}/${what}`, { json: change, expect: 204 })
    }
    const role = { json: { conversation_role: 'wire_member' }, ...fine }
    await alice.request('PUT', member(bob), role)
    await alice.request('POST', `${path}/typing`, { json: { status: 'started' }, ...fine })

    await alice.request('GET', `${byId}/features/conversationGuestLinks`, fine)
    const made = await alice.request<{ data: { key: string; code: string } }>(
      'POST',
      `${byId}/code`,
      { json: {}, expect: 201 },
    )
    const { key, code } = made.json.data
    await alice.request('POST', `${byId}/code`, { json: {}, expect: 200 })
    await alice.request('GET', `${byId}/code`, fine)
    await alice.request('POST', '/conversations/code-check', { json: { key, code }, ...fine })
    const carol = await person('carol')
    await carol.request('GET', '/conversations/join', { query: { key, code }, ...fine })
    await carol.request('POST', '/conversations/join', { json: { key, code }, expect: 200 })
    await carol.request('POST', '/conversations/join', { json: { key, code }, expect: 204 })
    await alice.request('DELETE', `${byId}/code`, fine)

    await alice.request('DELETE', member(bob), { expect: 200 })
    await alice.request('DELETE', member(bob), { expect: 204 })
    const addition = { qualified_users: [bob.user] }
    await alice.request('POST', `${path}/members`, { json: addition, expect: 200 })
    await alice.request('POST', `${path}/members`, { json: addition, expect: 204 })
    if (version >= 13) {
      const all = { qualified_users: [alice.user, bob.user] }
      await alice.request('PUT', `${path}/members`, { json: all, ...fine })
    }
    await alice.request('GET', '/feature-configs', fine)
    await alice.request('GET', '/mls/public-keys', fine)
  }

  async function messages(
    { alice, bob }: Record<'alice' | 'bob', Somebody>,
    pair: QualifiedId,
  ): Promise<void> {
    const { domain, id } = bob.user
    const recipients = sameForAll({ [domain]: { [id]: [bob.device] } }, 'Hello')
    await alice.sendOtr(pair, { recipients: {} }, { expect: 412 })
    await alice.sendOtr(pair, { recipients }, { expect: 201 })
    const broadcast = (named: typeof recipients, expected: number) =>
      alice.request('POST', '/broadcast/proteus/messages', {
        body: encodeOtrMessage({ sender: alice.device, recipients: named }),
        contentType: 'application/x-protobuf',
        expect: expected,
      })
    await broadcast({}, 412)
    await broadcast(recipients, 201)
    const text = Buffer.from('Hello').toString('base64')
    const older = { sender: alice.device, recipients: { [id]: { [bob.device]: text } } }
    for (const path of [`/conversations/${pair.id}/otr/messages`, '/broadcast/otr/messages']) {
      await alice.request('POST', path, { json: { ...older, recipients: {} }, expect: 412 })
      await alice.request('POST', path, { json: older, expect: 201 })
    }
  }

  async function notifications(alice: Somebody): Promise<void> {
    const fine = { expect: 200 }
    const page = await alice.request<{ notifications: { id: string }[] }>(
      'GET',
      '/notifications',
      fine,
    )
    const [first] = page.json.notifications
    await alice.request('GET', '/notifications/last', fine)
    await alice.request('GET', `/notifications/${first?.id ?? ''}`, fine)
    if (version >= 9) await alice.request('GET', '/time', fine)
    const token = { transport: 'GCM', app: 'wire', token: 'token', client: alice.device }
    await alice.request('POST', '/push/tokens', { json: token, expect: 201 })
    await alice.request('GET', '/push/tokens', fine)
    await alice.request('DELETE', '/push/tokens/token', { expect: 204 })
  }

  async function assets(alice: Somebody): Promise<void> {
    const fine = { expect: 200 }
    const upload = assetBody({ bytes: Buffer.from('portrait'), retention: 'volatile' })
    const { json } = await alice.request<{ key: string; domain: string }>('POST', '/assets', {
      ...upload,
      expect: 201,
    })
    const { key, domain } = json
    await alice.request('GET', `/assets/${domain}/${key}`, fine)
    await alice.request('POST', `/assets/${key}/token`, fine)
    await alice.request('DELETE', `/assets/${key}/token`, fine)
    await alice.request('DELETE', `/assets/${domain}/${key}`, fine)
  }

  return {
    async all(): Promise<void> {
      await beforeAnybody()
      await accounts()
      const { alice, bob, pair } = await friends()
      await people({ alice, bob })
      await devices(alice)
      await conversations({ alice, bob })
      await messages({ alice, bob }, pair)
      await notifications(alice)
      await assets(alice)
    },
  }
}

function operationsOf(version: number): string[] {
  return Object.values(publicApis)
    .flat()
    .flatMap((api) => Object.values(api as Readonly<Record<string, EndpointDeclaration>>))
    .filter(({ versions: { first, last } }) => version >= first && version <= last)
    .map(({ method, path }) => shapeOf(`${method} ${path}`))
}

describe.each(versions)('version %i', (version) => {
  it('answers every operation in its shape', async () => {
    const sightings: Sightings = { succeeded: new Set(), problems: [] }
    await livesOf(version, sightings).all()
    expect(sightings.problems).toEqual([])
    const missing = operationsOf(version).filter(
      (operation) => !sightings.succeeded.has(operation) && !isYetToSucceed(operation),
    )
    expect(missing).toEqual([])
  })
})
