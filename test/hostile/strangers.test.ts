import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RawClient } from '../support/wire/raw.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { publicEndpoints } from './endpoints.ts'
import { senderTo, type Sender } from './http.ts'
import { faultsOf } from './judge.ts'
import { hostileRequest } from './requests.ts'
import { cheapPasswords, newWorld, type World } from './world.ts'

let server: TestServer
let sender: Sender
let world: World
beforeAll(async () => {
  server = await startTestServer({}, cheapPasswords)
  sender = senderTo(server.url)
  world = await newWorld(server)
})
afterAll(async () => {
  await sender[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

/** What Alice and Bob have, as they see it. */
async function belongings({
  alice,
  bob,
  group,
  asset,
  property,
  guestLink,
}: World): Promise<unknown> {
  const room = `/conversations/${group.domain}/${group.id}`
  const views: unknown[] = []
  const see = async (client: RawClient, path: string): Promise<void> => {
    const { status, text } = await client.request('GET', path)
    // When a device was last used is noted a little later.
    views.push([path, status, text.replace(/"last_active":"[^"]*",/, '')])
  }
  for (const [client, other] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    await see(client, '/self')
    await see(client, '/clients')
    await see(client, '/cookies')
    await see(client, '/properties-values')
    await see(client, `/connections/${other.user.domain}/${other.user.id}`)
    await see(client, room)
    await see(client, `${room}/self`)
  }
  await see(alice, `/properties/${property}`)
  await see(alice, `/conversations/${group.id}/code`)
  views.push((await alice.downloadAsset(asset)).text)
  views.push((await alice.request('POST', '/conversations/code-check', { json: guestLink })).status)
  return views
}

/** What a stranger may make Alice's devices hear. */
const harmless = new Set(['user.connection', 'conversation.create', 'conversation.connect-request'])

describe('a stranger', () => {
  it('who knows all ids reads nothing that is not theirs, and changes nothing', async () => {
    const { alice, bob, mallory, canary } = world
    // What opens a door to whoever has it is not known to strangers.
    const unknowing = {
      ...world,
      guestLink: { key: 'x', code: 'x' },
      asset: { key: world.asset.key, domain: world.domain },
    }
    const before = await belongings(world)
    for (const token of [mallory.token ?? '', 'nonsense']) {
      for (const { name, declaration } of publicEndpoints) {
        const tokens = { valid: [token], bad: [] }
        await fc.assert(
          fc.asyncProperty(
            hostileRequest({ declaration, world: unknowing, tokens }),
            async (request) => {
              const answer = await sender.send(request)
              expect(answer.text, name).not.toContain(canary)
              expect(faultsOf(answer, declaration.method, declaration)).toEqual([])
            },
          ),
          { seed: 20_260_311, numRuns: 12 },
        )
      }
    }
    expect(await belongings(world)).toEqual(before)
    for (const victim of [alice, bob]) {
      const heard = (await victim.notifications())
        .flatMap(({ payload }) => payload)
        .filter(
          ({ from, qualified_from }) =>
            from === mallory.user.id || qualified_from?.id === mallory.user.id,
        )
      expect(heard.filter(({ type }) => !harmless.has(type))).toEqual([])
    }
  })

  it('is told that there is nothing, or that it is not theirs', async () => {
    const { alice, bob, mallory, group, asset, notification } = await newWorld(server)
    const room = `/conversations/${group.domain}/${group.id}`
    const unqualified = `/conversations/${group.id}`
    const inRoom = `${room}/members/${alice.user.domain}/${alice.user.id}`
    const device = alice.device ?? ''
    const key = `/assets/${asset.domain}/${asset.key}`
    const name = { json: { name: 'mine' } }
    const cases: [method: string, path: string, request: object, status: number, label: string][] =
      [
        ['GET', room, {}, 403, 'access-denied'],
        ['GET', `${room}/self`, {}, 404, 'no-conversation'],
        ['PUT', `${room}/self`, { json: { otr_archived: true } }, 404, 'no-conversation'],
        ['PUT', `${room}/name`, name, 404, 'no-conversation'],
        ['PUT', `${room}/message-timer`, { json: {} }, 404, 'no-conversation'],
        ['PUT', `${room}/receipt-mode`, { json: { receipt_mode: 1 } }, 404, 'no-conversation'],
        [
          'PUT',
          `${room}/access`,
          { json: { access: [], access_role: [] } },
          404,
          'no-conversation',
        ],
        [
          'POST',
          `${room}/members`,
          { json: { qualified_users: [mallory.user] } },
          404,
          'no-conversation',
        ],
        [
          'PUT',
          `${room}/members`,
          { json: { qualified_users: [mallory.user] } },
          404,
          'no-conversation',
        ],
        ['DELETE', inRoom, {}, 404, 'no-conversation'],
        ['PUT', inRoom, { json: { conversation_role: 'wire_member' } }, 404, 'no-conversation'],
        ['POST', `${room}/typing`, { json: { status: 'started' } }, 404, 'no-conversation'],
        ['GET', `${unqualified}/roles`, {}, 403, 'access-denied'],
        ['POST', `${unqualified}/code`, { json: {} }, 404, 'no-conversation'],
        ['GET', `${unqualified}/code`, {}, 404, 'no-conversation'],
        ['DELETE', `${unqualified}/code`, {}, 404, 'no-conversation'],
        ['GET', `/clients/${device}`, {}, 404, 'not-found'],
        ['PUT', `/clients/${device}`, { json: { label: 'mine' } }, 404, 'client-not-found'],
        ['DELETE', `/clients/${device}`, { json: {} }, 404, 'client-not-found'],
        ['GET', `/clients/${device}/capabilities`, {}, 404, 'client-not-found'],
        ['GET', `/notifications/${notification}`, {}, 404, 'not-found'],
        ['GET', `/notifications?since=${notification}`, {}, 404, 'not-found'],
        ['GET', key, {}, 404, 'not-found'],
        ['GET', `${key}?asset_token=x`, {}, 404, 'not-found'],
        ['DELETE', key, {}, 403, 'unauthorised'],
        ['POST', `/assets/${asset.key}/token`, {}, 403, 'unauthorised'],
        ['DELETE', `/assets/${asset.key}/token`, {}, 403, 'unauthorised'],
        ['GET', `/users/${bob.user.id}/rich-info`, {}, 403, 'insufficient-permissions'],
        ['GET', `/connections/${bob.user.domain}/${bob.user.id}`, {}, 404, 'not-found'],
        [
          'PUT',
          `/connections/${bob.user.domain}/${bob.user.id}`,
          { json: { status: 'accepted' } },
          403,
          'not-connected',
        ],
        [
          'POST',
          '/one2one-conversations',
          { json: { qualified_users: [bob.user] } },
          403,
          'not-connected',
        ],
        ['POST', '/conversations', { json: { qualified_users: [bob.user] } }, 403, 'not-connected'],
      ]
    for (const [method, path, request, status, label] of cases) {
      const reply = await mallory.request<{ label: string }>(method, path, request)
      expect([reply.status, reply.json.label], `${method} ${path}`).toEqual([status, label])
    }
    const listed = await mallory.request<{ found: unknown[] }>('POST', '/conversations/list', {
      json: { qualified_ids: [group] },
    })
    expect(listed.json.found).toEqual([])
    const sent = await mallory.sendOtr(group, { recipients: {} })
    expect(sent).toMatchObject({ status: 404, json: { label: 'no-conversation' } })
  })

  it('hears nothing of others on a socket, whatever device it names', async () => {
    const { alice, bob, mallory, group } = await newWorld(server)
    await using socket = await mallory.openAwait({ device: alice.device ?? null })
    // Of another connection: the same one would take the first socket's place.
    await mallory.access({ withToken: false })
    await using unnamed = await mallory.openAwait({ device: null })
    const { domain, id } = bob.user
    const recipients = { [domain]: { [id]: { [bob.device ?? '']: Buffer.from('psst') } } }
    expect((await alice.sendOtr(group, { recipients })).status).toBe(201)
    await alice.request('POST', `/connections/${mallory.user.domain}/${mallory.user.id}`, {
      expect: 201,
    })
    await unnamed.receives(({ type }) => type === 'user.connection')
    await socket.receives(({ type }) => type === 'user.connection')
    for (const { events } of [socket, unnamed]) {
      expect(events.all.filter(({ event }) => event.type.includes('message'))).toEqual([])
    }
  })
})
