import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { OwnConversation } from '../../../contract/galley/conversation-fields.ts'
import type { ClientId } from '../../../contract/ids.ts'
import {
  at,
  domain,
  pathOf,
  startTestGalley,
  whileTimePasses,
  type Person,
  type TestGalley,
} from '../test-galley.ts'

let galley: TestGalley
let alice: Person
let bob: Person
let carol: Person
let group: OwnConversation
const [a1, a2, b1, b2, c1] = ['a1', 'a2', 'b1', 'b2', 'c1'] as ClientId[] as [
  ClientId,
  ClientId,
  ClientId,
  ClientId,
  ClientId,
]

/** Alice has two devices, Bob one, Carol one; Carol is not in. */
beforeEach(async () => {
  galley = await startTestGalley()
  ;[alice, bob, carol] = galley.friends(3) as [Person, Person, Person]
  await galley.addClient(alice, a1)
  await galley.addClient(alice, a2)
  await galley.addClient(bob, b1)
  await galley.addClient(carol, c1)
  group = await alice.createGroup([bob])
  galley.gundeck.clear()
})
afterEach(() => galley[Symbol.asyncDispose]())

const labelled = (status: number, label: string) => ({ status, body: { label } })
const messagesPath = () => pathOf(group, '/proteus/messages')
const base64 = (text: string) => Buffer.from(text).toString('base64')
const nothing = { missing: {}, redundant: {}, deleted: {} }
const devices = (lists: object) => ({ [domain]: lists })

describe('sending a message', () => {
  it('gives each device its own event, in one push', async () => {
    const reply = await alice.send(messagesPath(), a1, [
      [alice, a2],
      [bob, b1],
    ])
    expect(reply).toMatchObject({
      status: 201,
      body: {
        time: new Date(galley.clock.nowMs()).toISOString(),
        ...nothing,
        failed_to_send: {},
        failed_to_confirm_clients: {},
      },
    })
    const [toBob] = galley.gundeck.inboxOf(bob)
    const [toSelf] = galley.gundeck.inboxOf(alice)
    expect(toBob).toMatchObject({
      clients: [b1],
      isTransient: false,
      priority: 'high',
      origin: { user: alice.id, connection: alice.connection },
      event: {
        type: 'conversation.otr-message-add',
        conversation: group.id,
        qualified_conversation: { domain, id: group.id },
        from: alice.id,
        qualified_from: alice.qualified,
        via: 'user',
        time: reply.body['time'],
        data: { sender: a1, recipient: b1, text: base64('for b1') },
      },
    })
    expect(toBob?.event.data).not.toHaveProperty('data')
    expect(toSelf).toMatchObject({ clients: [a2], event: { data: { recipient: a2 } } })
    expect(toSelf?.requestId).toBe(toBob?.requestId)
    expect(galley.gundeck.calls.at(-1)).toEqual({ isRepeat: false })
  })

  it('hands on what is shared, the priority, and that it is fleeting', async () => {
    const data = Buffer.from([0, 255, 7])
    await alice.send(messagesPath(), a1, [[bob, b1]], {
      data,
      nativePriority: 'low',
      transient: true,
      strategy: { kind: 'ignore-all' },
    })
    expect(galley.gundeck.inboxOf(bob)).toMatchObject([
      { isTransient: true, priority: 'low', event: { data: { data: data.toString('base64') } } },
    ])
  })

  it('reaches nobody while a device is missing, and says which', async () => {
    const reply = await alice.send(messagesPath(), a1, [[bob, b2]])
    expect(reply).toMatchObject({
      status: 412,
      body: {
        missing: devices({ [alice.id]: [a2], [bob.id]: [b1] }),
        deleted: devices({ [bob.id]: [b2] }),
        redundant: {},
      },
    })
    expect(galley.gundeck.typesFor(bob)).toEqual([])
  })

  it('delivers what it can when missing devices do not count', async () => {
    const reply = await alice.send(
      messagesPath(),
      a1,
      [
        [alice, a1],
        [bob, b1, b2],
        [carol, c1],
      ],
      { strategy: { kind: 'ignore-all' } },
    )
    expect(reply).toMatchObject({
      status: 201,
      body: {
        missing: {},
        deleted: devices({ [bob.id]: [b2] }),
        redundant: devices({ [alice.id]: [a1], [carol.id]: [c1] }),
      },
    })
    expect(galley.gundeck.typesFor(bob)).toHaveLength(1)
    expect(galley.gundeck.typesFor(carol)).toEqual([])
    const nobody = { strategy: { kind: 'ignore-all' } } as const
    expect((await alice.send(messagesPath(), a1, [], nobody)).status).toBe(201)
  })

  it('counts devices and members that another process of two adds and removes', async () => {
    const { db, clock, gundeck, brig } = galley
    const shared = { db, clock, gundeck, brig, isAlone: false }
    await using one = await startTestGalley(shared)
    await using other = await startTestGalley(shared)
    const [dave, erin] = one.friends(2) as [Person, Person]
    const d1 = await one.addClient(dave, 'd1')
    const room = await dave.createGroup([])
    const send = async () => {
      const reply = await dave.send(pathOf(room, '/proteus/messages'), d1, [])
      return at(reply.body, 'missing', domain) ?? {}
    }
    expect(await send()).toEqual({})
    await other.addClient(dave, 'd2')
    expect(await send()).toEqual({ [dave.id]: ['d2'] })
    await other.addClient(erin, 'e1')
    const elsewhere = other.personOf(dave)
    await elsewhere.call('POST', pathOf(room, '/members'), { qualified_users: [erin.qualified] })
    expect(await send()).toEqual({ [dave.id]: ['d2'], [erin.id]: ['e1'] })
    await other.internal.removeUser({ params: { user: erin.id } })
    expect(await send()).toEqual({ [dave.id]: ['d2'] })
  })

  it('counts a device from its registration to its removal', async () => {
    const send = () => bob.send(messagesPath(), b1, [[alice, a1, a2]])
    expect((await send()).status).toBe(201)
    await galley.addClient(bob, b2)
    expect((await send()).body).toMatchObject({ missing: devices({ [bob.id]: [b2] }) })
    await galley.internal.removeClient({ params: { user: bob.id, client: b2 } })
    await galley.internal.removeClient({ params: { user: alice.id, client: a2 } })
    const reply = await send()
    expect(reply).toMatchObject({ status: 201, body: { deleted: devices({ [alice.id]: [a2] }) } })
  })

  it('counts a member from the join to the leaving', async () => {
    const send = () =>
      alice.send(messagesPath(), a1, [
        [alice, a2],
        [bob, b1],
      ])
    await alice.call('POST', pathOf(group, '/members'), { qualified_users: [carol.qualified] })
    expect((await send()).body).toMatchObject({ missing: devices({ [carol.id]: [c1] }) })
    await carol.call('DELETE', pathOf(group, `/members/${domain}/${carol.id}`))
    expect((await send()).status).toBe(201)
    const path = messagesPath()
    expect(await carol.send(path, c1, [])).toMatchObject(labelled(404, 'no-conversation'))
  })

  it('stands behind the membership change that was answered before', async () => {
    await alice.call('POST', pathOf(group, '/members'), { qualified_users: [carol.qualified] })
    await alice.send(messagesPath(), a1, [
      [alice, a2],
      [bob, b1],
      [carol, c1],
    ])
    expect(galley.gundeck.typesFor(carol)).toEqual([
      'conversation.member-join',
      'conversation.otr-message-add',
    ])
  })

  it('needs a conversation and a device of one’s own', async () => {
    expect(await alice.send(messagesPath(), b1, [])).toMatchObject(labelled(403, 'unknown-client'))
    expect(await carol.send(messagesPath(), c1, [])).toMatchObject(labelled(404, 'no-conversation'))
    const abroad = `/conversations/elsewhere.net/${group.id}/proteus/messages`
    expect(await alice.send(abroad, a1, [])).toMatchObject(labelled(404, 'no-conversation'))
    const garbage = new Uint8Array([255, 1, 2])
    expect(await alice.sendBytes(messagesPath(), garbage, 'application/x-protobuf')).toMatchObject(
      labelled(400, 'bad-request'),
    )
    expect(await alice.sendBytes(messagesPath(), garbage, 'application/json')).toMatchObject(
      labelled(415, 'unsupported-media-type'),
    )
  })

  it('works among one’s own devices', async () => {
    const path = pathOf(alice, '/proteus/messages')
    expect((await alice.send(path, a1, [[alice, a2]])).status).toBe(201)
    expect(galley.gundeck.inboxOf(alice)).toMatchObject([
      { event: { conversation: alice.id }, clients: [a2] },
    ])
  })
})

describe('when gundeck does not answer', () => {
  it('repeats under the same id until it does, and stores once', async () => {
    let failures = 6
    galley.gundeck.failWhile(() => {
      failures -= 1
      return failures >= 0 ? 'after' : undefined
    })
    const sending = alice.send(messagesPath(), a1, [
      [alice, a2],
      [bob, b1],
    ])
    expect((await whileTimePasses(galley.clock, sending)).status).toBe(201)
    expect(galley.gundeck.typesFor(bob)).toHaveLength(1)
    const repeats = galley.gundeck.calls.slice(-6)
    for (const { isRepeat, firstAttemptAgeMs } of repeats) {
      expect(isRepeat).toBe(true)
      expect(firstAttemptAgeMs).toBeGreaterThan(0)
    }
  })

  it('gives up after five seconds', async () => {
    galley.gundeck.failWhile(() => 'before')
    const startedMs = galley.clock.nowMs()
    const sending = alice.send(messagesPath(), a1, [
      [alice, a2],
      [bob, b1],
    ])
    const reply = await whileTimePasses(galley.clock, sending)
    expect(reply).toMatchObject(labelled(503, 'service-unavailable'))
    expect(galley.clock.nowMs() - startedMs).toBeGreaterThanOrEqual(5000)
    galley.gundeck.failWhile(undefined)
    expect(
      (
        await alice.send(messagesPath(), a1, [
          [alice, a2],
          [bob, b1],
        ])
      ).status,
    ).toBe(201)
    expect(galley.gundeck.typesFor(bob)).toHaveLength(1)
  })
})

describe('the older form', () => {
  const path = (query = '') => `/conversations/${group.id}/otr/messages${query}`
  const message = (recipients: object, more: object = {}) => ({ sender: a1, recipients, ...more })
  const send = (body: object, query?: string) => alice.call('POST', path(query), body)
  const toBob = () => ({ [bob.id]: { [b1]: base64('hi') } })

  it('takes JSON and answers without domains', async () => {
    const reply = await send(
      message({ ...toBob(), [alice.id]: { [a2]: base64('me') } }, { data: base64('x') }),
    )
    expect(reply).toMatchObject({ status: 201, body: nothing })
    expect(Object.keys(reply.body).sort()).toEqual(['deleted', 'missing', 'redundant', 'time'])
    expect(galley.gundeck.inboxOf(bob)).toMatchObject([
      { event: { data: { sender: a1, recipient: b1, text: base64('hi'), data: base64('x') } } },
    ])
  })

  it('reads whose devices count from query and body', async () => {
    const missing = { [alice.id]: [a2] }
    const cases: [string, object, number, object][] = [
      ['', {}, 412, missing],
      ['?report_missing=true', {}, 412, missing],
      ['?report_missing=false', {}, 201, {}],
      [`?report_missing=${bob.id}`, {}, 201, {}],
      [`?report_missing=${bob.id},${alice.id}`, {}, 412, missing],
      ['?ignore_missing=true', {}, 201, {}],
      ['?ignore_missing=false', {}, 412, missing],
      [`?ignore_missing=${alice.id}`, {}, 201, {}],
      ['?ignore_missing=true', { report_missing: [alice.id] }, 412, missing],
      ['', { report_missing: [bob.id] }, 201, {}],
    ]
    for (const [query, more, status, expected] of cases) {
      const reply = await send(message(toBob(), more), query)
      expect({ query, status: reply.status, missing: reply.body['missing'] }).toEqual({
        query,
        status,
        missing: expected,
      })
    }
    expect((await send(message(toBob()), '?ignore_missing=alice')).status).toBe(400)
  })

  it('takes protobuf too', async () => {
    // NewOtrMessage { sender: 0xa1, recipients: [{ bob, [{ 0xb1, "hi" }] }], report_missing: [bob] }
    const uuid = Buffer.from(bob.id.replaceAll('-', ''), 'hex')
    const field = (number: number, bytes: Uint8Array) =>
      Buffer.concat([Buffer.of((number << 3) | 2, bytes.length), bytes])
    const client = (low: number) => Buffer.of(8, low | 0x80, 1)
    const user = field(1, uuid)
    const bytes = Buffer.concat([
      field(1, client(0xa1)),
      field(
        2,
        Buffer.concat([
          field(1, user),
          field(2, Buffer.concat([field(1, client(0xb1)), field(2, Buffer.from('hi'))])),
        ]),
      ),
      field(7, user),
    ])
    const reply = await alice.sendBytes(path(), bytes, 'application/x-protobuf')
    expect(reply).toMatchObject({ status: 201, body: nothing })
    expect(galley.gundeck.inboxOf(bob)).toMatchObject([
      { event: { data: { recipient: b1, text: base64('hi') } } },
    ])
  })
})

describe('broadcasts', () => {
  const broadcast = '/broadcast/proteus/messages'

  it('reach all contacts and the own devices, each in the conversation with itself', async () => {
    expect((await alice.send(broadcast, a1, [[bob, b1]])).body).toMatchObject({
      missing: devices({ [alice.id]: [a2], [carol.id]: [c1] }),
    })
    const reply = await alice.send(broadcast, a1, [
      [alice, a2],
      [bob, b1],
      [carol, c1],
    ])
    expect(reply).toMatchObject({ status: 201, body: nothing })
    for (const user of [alice, bob, carol]) {
      expect(galley.gundeck.inboxOf(user)).toMatchObject([
        {
          event: { conversation: user.id, qualified_conversation: { id: user.id }, from: alice.id },
        },
      ])
    }
    const stranger = galley.person()
    await galley.addClient(stranger, 'd1')
    const more = await alice.send(broadcast, a1, [[stranger, 'd1' as ClientId]], {
      strategy: { kind: 'ignore-all' },
    })
    expect(more.body).toMatchObject({ redundant: devices({ [stranger.id]: ['d1'] }) })
    expect(galley.gundeck.typesFor(stranger)).toEqual([])
  })

  it('have the older form', async () => {
    const body = { sender: a1, recipients: { [bob.id]: { [b1]: base64('hi') } } }
    const path = '/broadcast/otr/messages?ignore_missing=true'
    expect((await alice.call('POST', path, body)).status).toBe(201)
    expect(at(galley.gundeck.inboxOf(bob)[0]?.event, 'data', 'text')).toBe(base64('hi'))
    expect(await alice.call('POST', path, { ...body, sender: 'ff' })).toMatchObject(
      labelled(403, 'unknown-client'),
    )
  })

  it('go to few at a time', async () => {
    await using small = await startTestGalley({ config: { maxBroadcastUsers: 2 } })
    const [one, two, three, four] = small.friends(4) as [Person, Person, Person, Person]
    await small.addClient(one, a1)
    await small.addClient(two, b1)
    expect(await one.send(broadcast, a1, [[two, b1]])).toMatchObject(
      labelled(400, 'too-many-users-to-broadcast'),
    )
    const listed = { strategy: { kind: 'report-only', users: [two.qualified] } } as const
    expect((await one.send(broadcast, a1, [[two, b1]], listed)).status).toBe(201)
    expect((await one.send(broadcast, a1, [], listed)).status).toBe(412)
    const many = [two, three, four].map((user) => [user, b1] as const)
    expect(await one.send(broadcast, a1, many, listed)).toMatchObject(
      labelled(400, 'too-many-users-to-broadcast'),
    )
  })
})
