import type { ClientId, Domain, UserId } from '../../../contract/ids.ts'
import type { MismatchStrategy, QualifiedTexts } from '../../../contract/proteus/otr-message.ts'

/** Devices by user, as conversations and mismatches list them. */
export type Devices = ReadonlyMap<UserId, ReadonlySet<ClientId>>
type DeviceLists = Record<UserId, ClientId[]>
export type QualifiedDevices = Record<Domain, DeviceLists>

/** A ciphertext and the device that it is for. */
export interface Delivery {
  readonly user: UserId
  readonly client: ClientId
  readonly text: Uint8Array
}

export interface Comparison {
  /** Devices that should get the message, have no ciphertext, and count by the strategy. */
  readonly missing: QualifiedDevices
  /** Ciphertexts for devices of users who are not in, and for the sending device itself. */
  readonly redundant: QualifiedDevices
  /** Ciphertexts for devices that members no longer have. */
  readonly deleted: QualifiedDevices
  /** What is delivered, unless something is missing. */
  readonly deliveries: readonly Delivery[]
}

/**
 * Compares the recipients that a message names with the devices that should get it (Wire protocol
 * notes §7). All members are of this backend; `members` holds every one, also those without a
 * device.
 */
export function compareRecipients(
  domain: Domain,
  sender: { readonly user: UserId; readonly client: ClientId },
  members: Devices,
  recipients: QualifiedTexts,
  strategy: MismatchStrategy,
): Comparison {
  const missing: QualifiedDevices = {}
  const redundant: QualifiedDevices = {}
  const deleted: QualifiedDevices = {}
  const deliveries: Delivery[] = []
  const isSender = (user: UserId, client: ClientId): boolean =>
    user === sender.user && client === sender.client
  const isReported = reportedBy(domain, strategy)

  const local = recipients.get(domain)
  for (const [user, clients] of members) {
    if (!isReported(user)) continue
    const texts = local?.get(user)
    for (const client of clients) {
      if (!isSender(user, client) && texts?.has(client) !== true) {
        add(missing, domain, user, client)
      }
    }
  }
  for (const [recipientDomain, users] of recipients) {
    for (const [user, texts] of users) {
      const clients = recipientDomain === domain ? members.get(user) : undefined
      for (const [client, text] of texts) {
        if (clients === undefined || isSender(user, client)) {
          add(redundant, recipientDomain, user, client)
        } else if (clients.has(client)) deliveries.push({ user, client, text })
        else add(deleted, recipientDomain, user, client)
      }
    }
  }
  return { missing, redundant, deleted, deliveries }
}

export const isEmpty = (devices: QualifiedDevices): boolean => Object.keys(devices).length === 0

/** The older form of a mismatch knows no domains. */
export const devicesIn = (devices: QualifiedDevices, domain: Domain): DeviceLists =>
  devices[domain] ?? {}

function reportedBy(domain: Domain, strategy: MismatchStrategy): (user: UserId) => boolean {
  switch (strategy.kind) {
    case 'report-all':
      return () => true
    case 'ignore-all':
      return () => false
    case 'report-only':
    case 'ignore-only': {
      const named = new Set(
        strategy.users.filter((user) => user.domain === domain).map(({ id }) => id),
      )
      const isNamedReported = strategy.kind === 'report-only'
      return (user) => named.has(user) === isNamedReported
    }
  }
}

function add(devices: QualifiedDevices, domain: Domain, user: UserId, client: ClientId): void {
  // Ids are hex and domains have dots, so no key can be one of Object's own.
  const users = (devices[domain] ??= {})
  const clients = (users[user] ??= [])
  clients.push(client)
}
