import { randomUUID } from 'node:crypto'
import { mailbox } from '../support/wire/mailbox.ts'
import { rawClient, type RawClient } from '../support/wire/raw.ts'
import type { QualifiedId } from '../support/wire/wire-types.ts'
import { createDevice, type Device, type DeviceIdentity, type Habits, type Room } from './device.ts'
import type { HistoryRecorder, Protocol } from './history.ts'

/** The devices of each user: all ways of reading, alone and together. */
const cast: Readonly<Record<string, Readonly<Record<string, Protocol>>>> = {
  ann: { phone: 'await' },
  ben: { phone: 'await', desk: 'await' },
  cat: { phone: 'events' },
  dan: { phone: 'events', desk: 'events' },
  eve: { phone: 'await', desk: 'events' },
}
const pairs = [
  ['ann', 'ben'],
  ['ben', 'cat'],
  ['cat', 'dan'],
  ['dan', 'eve'],
] as const

export interface People {
  readonly devices: readonly Device[]
  readonly devicesOf: (user: string) => readonly Device[]
  /** Everybody's. */
  readonly group: Room
  /** The group and some rooms of two, by the user who is in them. */
  readonly roomsOf: ReadonlyMap<string, readonly Room[]>
}

export interface Reachable {
  readonly url: string
  readonly mailboxUrl: string
  /** Where sockets go, when not to the same port. */
  readonly ws?: string
}

const password = 'correct horse battery'

/** Registers the cast at the server, connects them and makes their rooms. */
export async function registerPeople(
  server: Reachable,
  recorder: HistoryRecorder,
  habits: Habits,
): Promise<People> {
  const box = mailbox(server.mailboxUrl)

  async function registerDevice(
    client: RawClient,
    name: string,
    protocol: Protocol,
  ): Promise<Device> {
    const capabilities = protocol === 'events' ? ['consumable-notifications'] : []
    const id = await client.registerDevice({ password, capabilities })
    if (!client.user) throw new Error(`${name} has no user`)
    const inbox = name.slice(0, name.indexOf('/'))
    recorder.record({ kind: 'reader', reader: name, inbox, protocol })
    const identity: DeviceIdentity = { name, protocol, user: client.user, client: id }
    return createDevice(identity, client, recorder, habits)
  }

  async function registerUser(
    user: string,
    devices: Readonly<Record<string, Protocol>>,
  ): Promise<Device[]> {
    const email = `${user}.${randomUUID()}@example.org`
    const registered: Device[] = []
    for (const [device, protocol] of Object.entries(devices)) {
      const client = rawClient(server.url, {
        name: `${user}/${device}`,
        ...(server.ws !== undefined && { ws: server.ws }),
      })
      if (registered.length > 0) {
        await client.login({ email, password })
      } else {
        await client.sendActivationCode(email)
        const { code } = await box.secretFor(email, 'Activation')
        await client.register({ email, password, name: user, code })
      }
      registered.push(await registerDevice(client, `${user}/${device}`, protocol))
    }
    return registered
  }

  const byUser = new Map<string, readonly Device[]>()
  for (const [user, devices] of Object.entries(cast)) {
    byUser.set(user, await registerUser(user, devices))
  }
  const devicesOf = (user: string): readonly Device[] => byUser.get(user) ?? []
  function phoneOf(user: string): Device {
    const [phone] = devicesOf(user)
    if (!phone) throw new Error(`${user} has no device`)
    return phone
  }

  async function connect(one: string, other: string): Promise<Room> {
    const [from, to] = [phoneOf(one), phoneOf(other)]
    const path = ({ domain, id }: QualifiedId): string => `/connections/${domain}/${id}`
    await from.raw.request('POST', path(to.user), { expect: [200, 201] })
    const { json } = await to.raw.request<{ qualified_conversation: QualifiedId }>(
      'PUT',
      path(from.user),
      { json: { status: 'accepted' }, expect: 200 },
    )
    const members = [...devicesOf(one), ...devicesOf(other)]
    return { name: `${one} and ${other}`, id: json.qualified_conversation, members }
  }

  const rooms = new Map<string, Room[]>(Object.keys(cast).map((user) => [user, []]))
  for (const [one, other] of pairs) {
    const room = await connect(one, other)
    for (const user of [one, other]) rooms.get(user)?.push(room)
  }
  const [first = '', ...others] = Object.keys(cast)
  for (const other of others) {
    if (!pairs.some((pair) => pair.join() === [first, other].join())) await connect(first, other)
  }
  const { json } = await phoneOf(first).raw.request<{ qualified_id: QualifiedId }>(
    'POST',
    '/conversations',
    {
      json: { name: 'everybody', qualified_users: others.map((other) => phoneOf(other).user) },
      expect: [200, 201],
    },
  )
  const devices = [...byUser.values()].flat()
  const group: Room = { name: 'everybody', id: json.qualified_id, members: devices }
  for (const each of rooms.values()) each.push(group)
  return { devices, devicesOf, group, roomsOf: rooms }
}
