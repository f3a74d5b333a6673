import { afterAll, beforeAll, expect, it, vi } from 'vitest'

import type { Person } from '../support/wire/cast.ts'
import { newDeviceKeys } from '../support/wire/prekeys.ts'
import { inBothShapes } from './shapes.ts'

// The calls of Wire's library as it makes them: its paths, its gzip, its reading of the replies.

/** The library's enums lie in the copy that each client loads; their values are plain text. */
const value = (plain: unknown): never => plain as never

inBothShapes(({ person, mailbox }) => {
  beforeAll(() => {
    // The library compresses unless it runs in a test.
    vi.stubEnv('NODE_ENV', 'production')
  })
  afterAll(() => {
    vi.unstubAllEnvs()
  })

  async function friends() {
    const [alice, bob] = await Promise.all([
      person('alice', { kind: 'api' }),
      person('bob', { kind: 'api' }),
    ])
    const { api } = alice.client.api
    return { alice, bob, api, room: await alice.connectsWith(bob) }
  }

  const isContent = (alice: Person<'api'>): boolean => alice.client.signOuts.length === 0

  it('keeps a profile', async () => {
    const { alice, bob, api } = await friends()
    await api.self.putSelf({ name: 'Alice II', accent_id: 2 })
    await api.self.putLocale({ locale: 'fr' })
    await api.self.putSupportedProtocols([value('proteus')])
    const handle = `${alice.handle}_2`
    await api.self.putHandle({ handle })
    expect(await api.self.getSelf([])).toMatchObject({
      qualified_id: alice.user,
      name: 'Alice II',
      handle,
      locale: 'fr',
    })
    expect((await api.self.headPassword()).status).toBe(200)
    await api.self.putPassword({ old_password: alice.password, new_password: 'another one' })

    const { api: bobs } = bob.client.api
    expect(await bobs.user.getUser(alice.user)).toMatchObject({ name: 'Alice II' })
    expect(await bobs.user.getUserSupportedProtocols(alice.user)).toEqual(['proteus'])
    await bobs.user.headUsers(alice.user)
    await expect(bobs.user.headHandle(`no_${handle}`)).rejects.toMatchObject({
      response: { status: 404 },
    })
    expect(await bobs.user.postHandles({ handles: [handle, `no_${handle}`], return: 1 })).toEqual([
      `no_${handle}`,
    ])
  })

  it('finds users', async () => {
    const { bob, api } = await friends()
    const { response } = await api.user.getSearchContacts(bob.handle)
    expect((await response).documents[0]).toMatchObject({ qualified_id: bob.user })
    const listed = await api.user.postListUsers({ qualified_ids: [bob.user] })
    expect(listed).toMatchObject({ found: [{ qualified_id: bob.user }] })
    const { domain } = bob.user
    const handles = { qualified_handles: [{ domain, handle: bob.handle }] }
    expect(await api.user.postListUsers(handles)).toMatchObject({
      found: [{ qualified_id: bob.user }],
    })
  })

  it('takes prekeys and looks after devices', async () => {
    const { alice, bob, api } = await friends()
    const { domain, id } = bob.user
    const { device, password } = alice
    expect(await api.user.getClients(bob.user)).toMatchObject([{ id: bob.device }])
    expect(await api.user.getClient(bob.user, bob.device)).toMatchObject({ id: bob.device })
    expect(await api.user.getClientPreKey(bob.user, bob.device)).toMatchObject({
      client: bob.device,
    })
    expect(await api.user.getUserPreKeys(bob.user)).toMatchObject({ user: id })
    const claimed = await api.user.postMultiPreKeyBundles({ [domain]: { [id]: [bob.device] } })
    expect(claimed).toMatchObject({
      qualified_user_client_prekeys: {
        [domain]: { [id]: { [bob.device]: { key: expect.any(String) } } },
      },
    })
    const lists = await api.user.postListClients({ qualified_users: [bob.user] })
    expect(lists).toMatchObject({
      qualified_user_map: { [domain]: { [id]: [{ id: bob.device }] } },
    })

    await api.client.putClient(device, { label: 'Desk' })
    expect(await api.client.getClient(device)).toMatchObject({ id: device, label: 'Desk' })
    expect(await api.client.getClients()).toMatchObject([{ id: device }])
    expect(await api.client.getClientPreKeys(device)).toContain(65_535)
    expect(await api.client.getPublicKeys()).toHaveProperty('removal')
    const { id: phone } = await api.client.postClient({
      ...newDeviceKeys(2),
      type: value('permanent'),
      class: value('phone'),
      cookie: 'phone',
      password,
    })
    await api.client.deleteClient(phone, password)
  })

  it('works in conversations', async () => {
    const { alice, bob, api } = await friends()
    const carol = await person('carol', { kind: 'api' })
    await alice.connectsWith(carol)
    const { conversation: calls } = api
    const { qualified_id: room } = await calls.postConversation({
      name: 'Lunch',
      qualified_users: [bob.user],
      receipt_mode: null,
    })
    await calls.putConversation(room, { name: 'Dinner' })
    await calls.putConversationMessageTimer(room, { message_timer: 60_000 })
    await calls.putConversationReceiptMode(room, { receipt_mode: value(1) })
    await calls.postMembers(room, [carol.user])
    await calls.putOtherMember(carol.user, room, { conversation_role: 'wire_member' })
    await calls.putMembershipProperties(room, { otr_archived: true, otr_archived_ref: 'now' })
    await calls.postTyping(room, { status: value('started') })
    expect(await calls.getMembershipProperties(room)).toMatchObject({ otr_archived: true })
    expect((await calls.getRoles(room.id)).conversation_roles).toHaveLength(2)
    expect(await calls.getConversation(room)).toMatchObject({
      name: 'Dinner',
      message_timer: 60_000,
      receipt_mode: 1,
    })
    expect(await calls.getQualifiedConversationIds()).toContainEqual(room)
    const { found } = await calls.getConversationList()
    expect(found?.map(({ qualified_id }) => qualified_id)).toContainEqual(room)
    await bob.sees(({ type }) => type === 'conversation.typing')
    await carol.sends({ name: 'Dinner', id: room }, 'Here I am')
    await alice.receives('Here I am')
    await calls.putMembers(room, [alice.user, bob.user])
    await calls.deleteMember(room, bob.user)
    expect(await calls.postSelf()).toMatchObject({ qualified_id: alice.user, type: 1 })
    expect(isContent(alice)).toBe(true)
  })

  it('lets guests in by links', async () => {
    const { alice, bob, api } = await friends()
    const { conversation: calls } = api
    const { qualified_id: room } = await calls.postConversation({
      name: 'Open house',
      qualified_users: [],
      receipt_mode: null,
    })
    const roles = ['team_member', 'non_team_member', 'guest', 'service']
    await calls.putAccess(room, {
      access: ['invite', 'code'].map((each) => value(each)),
      access_role: roles.map((each) => value(each)),
    })
    const { data: link } = await calls.postConversationCodeRequest(room.id)
    expect(await calls.getConversationCode(room.id)).toMatchObject({ code: link.code })
    expect(await calls.getConversationGuestLinkFeature(room.id)).toMatchObject({
      status: 'enabled',
    })
    await calls.postConversationCodeCheck(link)
    const { conversation: bobs } = bob.client.api.api
    expect(await bobs.getJoinByCode(link)).toMatchObject({ id: room.id, name: 'Open house' })
    expect(await bobs.postJoinByCode(link)).toMatchObject({ type: 'conversation.member-join' })
    await calls.deleteConversationCode(room.id)
    expect(isContent(alice)).toBe(true)
  })

  it('connects, blocks and lists', async () => {
    const { alice, bob, api } = await friends()
    for (const status of ['blocked', 'accepted']) {
      const changed = await api.connection.putConnection(bob.user, value({ status }))
      expect(changed).toMatchObject({ status })
    }
    expect(await api.connection.getConnectionList()).toMatchObject([{ qualified_to: bob.user }])
    expect(isContent(alice)).toBe(true)
  })

  it('keeps properties and assets', async () => {
    const { alice, bob, api } = await friends()
    await api.user.putProperty('webapp', { settings: { theme: 'dark' } })
    expect(await api.user.getProperty('webapp')).toEqual({ settings: { theme: 'dark' } })
    expect(await api.user.getProperties()).toEqual(['webapp'])
    await api.user.deleteProperty('webapp')
    await api.user.deleteProperties()

    const bytes = new Uint8Array([1, 2, 3, 200])
    const asset = await api.asset.postAsset(bytes, { public: false }).response
    const { key, domain, token } = asset as { key: string; domain: string; token: string }
    const download = await bob.client.api.api.asset.getAsset(key, domain, token).response
    expect(new Uint8Array(download.buffer)).toEqual(bytes)
    expect(isContent(alice)).toBe(true)
  })

  it('manages sessions', async () => {
    const { alice, api } = await friends()
    const cookies = await api.auth.getCookies()
    expect(cookies.data.cookies).toHaveLength(2)
    await api.auth.postCookiesRemove(alice.password, ['none of them'])
    await api.user.postPasswordReset({ email: alice.email })
    await mailbox().secretFor(alice.email, 'PasswordReset')
    await api.auth.postLogout()
  })

  it('tells errors apart', async () => {
    const { alice, bob, api, room } = await friends()
    const stranger = await person('carol', { kind: 'api' })
    const { conversation: calls } = api
    const { qualified_id: group } = await calls.postConversation({
      name: 'Lunch',
      qualified_users: [bob.user],
      receipt_mode: null,
    })
    await calls.putOtherMember(bob.user, group, { conversation_role: 'wire_member' })
    const { api: bobs } = bob.client.api
    const unknown = { ...group, id: crypto.randomUUID() }
    const { password } = alice
    const device = {
      ...newDeviceKeys(1),
      type: value('permanent'),
      class: value('phone'),
      cookie: 'phone',
    }
    const attempts = [
      [() => api.self.putHandle({ handle: bob.handle }), 409, 'handle-exists'],
      [() => api.self.putHandle({ handle: 'x' }), 400, 'invalid-handle'],
      [() => api.user.postActivationCode({ email: bob.email }), 409, 'key-exists'],
      [() => calls.postMembers(group, [stranger.user]), 403, 'not-connected'],
      [() => calls.getConversation(unknown), 404, 'no-conversation'],
      [() => stranger.client.api.api.conversation.getConversation(group), 403, 'access-denied'],
      [() => bobs.conversation.putConversation(group, { name: 'Dinner' }), 403, 'action-denied'],
      [() => calls.deleteMember(room.id, bob.user), 403, 'invalid-op'],
      [() => api.client.postClient(device), 403, 'missing-auth'],
      [() => api.client.deleteClient('deadbeef', password), 404, 'client-not-found'],
      [() => api.client.deleteClient(alice.device, 'not this one'), 403, 'invalid-credentials'],
    ] as const
    for (const [attempt, code, label] of attempts) {
      await expect(attempt()).rejects.toMatchObject({ code, label })
    }
    expect([alice, bob, stranger].every(isContent)).toBe(true)
  })
})
