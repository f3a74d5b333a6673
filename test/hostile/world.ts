import { randomBytes, randomUUID } from 'node:crypto'
import { mailbox } from '../support/wire/mailbox.ts'
import { rawClient, type RawClient, type UploadedAsset } from '../support/wire/raw.ts'
import type { QualifiedId } from '../support/wire/wire-types.ts'

export interface Place {
  readonly url: string
  readonly mailboxUrl: string
}

export const password = 'correct horse battery'

/** Registers a user with one device. */
export async function newUser(
  place: Place,
  name: string,
): Promise<RawClient & { user: QualifiedId }> {
  const client = rawClient(place.url, { name })
  const email = `${name}.${randomUUID()}@example.org`
  await client.sendActivationCode(email)
  const { code } = await mailbox(place.mailboxUrl).activationFor(email, 20_000)
  await client.register({ email, password, name, code })
  await client.registerDevice()
  if (client.user === undefined || client.device === undefined) throw new Error('not registered')
  return client as RawClient & { user: QualifiedId }
}

export async function connect(
  asker: RawClient & { user: QualifiedId },
  asked: RawClient & { user: QualifiedId },
): Promise<void> {
  const path = ({ user }: { user: QualifiedId }): string => `/connections/${user.domain}/${user.id}`
  await asker.request('POST', path(asked), { expect: [200, 201] })
  await asked.request('PUT', path(asker), { json: { status: 'accepted' }, expect: 200 })
}

/**
 * Alice and Bob, who have things that are nobody else's business, and Mallory, whom they do not
 * know. Everything secret has `canary` in it, so that it can be found wherever it should not be.
 */
export interface World {
  readonly domain: string
  readonly canary: string
  readonly alice: RawClient & { user: QualifiedId }
  readonly bob: RawClient & { user: QualifiedId }
  readonly mallory: RawClient & { user: QualifiedId }
  readonly group: QualifiedId
  readonly guestLink: { readonly key: string; readonly code: string }
  readonly asset: UploadedAsset
  readonly property: string
  readonly notification: string
}

export async function newWorld(place: Place): Promise<World> {
  const canary = `canary${randomBytes(8).toString('hex')}`
  const alice = await newUser(place, 'alice')
  const bob = await newUser(place, 'bob')
  const mallory = await newUser(place, 'mallory')
  await connect(alice, bob)
  const { json: group } = await alice.request<{ qualified_id: QualifiedId }>(
    'POST',
    '/conversations',
    {
      json: {
        name: canary,
        qualified_users: [bob.user],
        access: ['invite', 'code'],
        access_role: ['team_member', 'non_team_member', 'guest'],
      },
      expect: 201,
    },
  )
  const { domain, id } = group.qualified_id
  const { json: link } = await alice.request<{ data: { key: string; code: string } }>(
    'POST',
    `/conversations/${id}/code`,
    { json: {}, expect: 201 },
  )
  const asset = await alice.uploadAsset({ bytes: Buffer.from(canary) })
  await alice.request('PUT', '/properties/webapp', { json: { canary }, expect: 200 })
  await alice.request('PUT', `/clients/${alice.device ?? ''}`, {
    json: { label: canary },
    expect: 200,
  })
  await alice.request('PUT', '/self/handle', {
    json: { handle: `alice_${randomBytes(4).toString('hex')}` },
    expect: 200,
  })
  const bobs = { [domain]: { [bob.user.id]: { [bob.device ?? '']: Buffer.from(canary) } } }
  await alice.sendOtr(group.qualified_id, { recipients: bobs }, { expect: 201 })
  const notification = (await bob.notifications()).at(-1)?.id
  if (notification === undefined) throw new Error('bob got nothing')
  return {
    domain,
    canary,
    alice,
    bob,
    mallory,
    group: group.qualified_id,
    guestLink: { key: link.data.key, code: link.data.code },
    asset,
    property: 'webapp',
    notification,
  }
}

/** Tokens by whether they are any good. */
export interface Tokens {
  readonly valid: readonly string[]
  readonly bad: readonly string[]
}

/** What hostile requests may come with: everybody's tokens, and some that are no good. */
export function tokensOf({ alice, bob, mallory }: World): Tokens {
  return {
    valid: [alice, bob, mallory].map(({ token }) => token ?? ''),
    bad: ['nonsense', '', `${mallory.token ?? ''}x`],
  }
}

/** Whether nobody was deleted and the group still has its members. */
export async function isIntact({ alice, bob, mallory, group }: World): Promise<boolean> {
  const selves = await Promise.all([alice, bob, mallory].map((one) => one.request('GET', '/self')))
  const path = `/conversations/${group.domain}/${group.id}`
  const rooms = await Promise.all([alice, bob].map((one) => one.request('GET', path)))
  return [...selves, ...rooms].every(({ status }) => status === 200)
}

/** For servers in this process: what is tested here is not how long a guess takes. */
export const cheapPasswords = { passwordCost: { memoryKib: 8, passes: 1, lanes: 1 } }
