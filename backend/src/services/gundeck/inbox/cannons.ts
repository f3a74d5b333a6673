import type { Logger } from 'pino'
import type { Client } from '../../../contract/endpoint.ts'
import type { deliveriesApi } from '../../../contract/cannon/internal.ts'
import type { Attach } from '../../../contract/gundeck/attachments.ts'
import { Unavailable } from '../../../contract/error.ts'
import type { NotificationId, UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { CannonLink } from './cannon-link.ts'
import type { Ring } from '../ring/ring.ts'
import { NotOwner } from '../ring/ring.ts'
import type { Inbox } from './inbox.ts'
import type { Inboxes } from './inboxes.ts'

/** Finds the cannon that answers at an address, as it said in its heartbeat. */
export type CannonAt = (address: string) => Client<typeof deliveriesApi>

export interface Exchange {
  readonly address: string
  readonly attach: readonly Attach[]
  readonly detach: readonly number[]
  readonly confirm: readonly (readonly [number, number, number])[]
}

export interface Cannons {
  exchange(
    cannon: string,
    exchange: Exchange,
  ): Promise<{
    tenure: string
    /** Null: not attached, because the inbox has another owner or cannot be read. */
    attached: (NotificationId | null)[]
    lost: number[]
  }>
  /** Open sockets at all cannons. */
  readonly attachments: number
  run(signal: AbortSignal): Promise<void>
}

/** Inboxes that are read at the same time before sockets attach to them. */
const readsAtOnce = 128
/** Cannons say something every second; one that was silent so long is gone. */
const silenceMs = 15_000

export function createCannons(deps: {
  cannonAt: CannonAt
  inboxes: Inboxes
  ring: Pick<Ring, 'id' | 'hasRivals'>
  clock: Clock
  log: Logger
}): Cannons {
  const { inboxes, clock, log } = deps
  const links = new Map<string, { link: CannonLink; tenure: string }>()
  let linkCount = 0

  function linkOf(cannon: string, address: string): { link: CannonLink; tenure: string } {
    const known = links.get(cannon)
    if (known) return known
    linkCount += 1
    // A cannon that was silent too long gets another tenure, and so attaches everything again.
    const tenure = `${deps.ring.id}/${String(linkCount)}`
    const made = { link: new CannonLink(deps.cannonAt(address), log), tenure }
    links.set(cannon, made)
    return made
  }

  /** The user's inbox, ready to answer attachments; undefined when it is not to be had here. */
  async function readyInbox(user: UserId): Promise<Inbox | undefined> {
    try {
      const inbox = inboxes.get(user)
      await inbox.prepare()
      return inbox
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      if (!(error instanceof NotOwner)) log.warn({ err: error }, 'an inbox cannot be attached to')
      return undefined
    }
  }

  /** Before anything is attached there, inboxes learn what earlier owners left. */
  async function prepare(attach: readonly Attach[]): Promise<void> {
    const users = [...new Set(attach.map(({ user }) => user))]
    const readers = Array.from({ length: Math.min(readsAtOnce, users.length) }, async () => {
      for (let user = users.pop(); user !== undefined; user = users.pop()) await readyInbox(user)
    })
    await Promise.all(readers)
  }

  function attachOne(link: CannonLink, given: Attach): NotificationId | null {
    const { attachment: number, replaces, user, client, connection } = given
    const replaced = replaces === undefined ? undefined : link.find(replaces)
    if (replaced) link.remove(replaced)
    const inbox = own(user)
    if (inbox === undefined) return null
    const attachment = {
      number,
      link,
      inbox,
      client,
      connection,
      sequence: 0,
      confirmed: 0,
      sentChars: 0,
      confirmedChars: 0,
    }
    const position = inbox.attach(attachment)
    link.add(attachment)
    return position
  }

  function own(user: UserId): Inbox | undefined {
    try {
      const inbox = inboxes.get(user)
      return inbox.isPrepared ? inbox : undefined
    } catch (error) {
      if (error instanceof NotOwner) return undefined
      throw error
    }
  }

  return {
    async exchange(cannon, { address, attach, detach, confirm }) {
      const { link, tenure } = linkOf(cannon, address)
      link.lastSeenMs = clock.monotonicMs()
      for (const [number, sequence, chars] of confirm) link.confirm(number, sequence, chars)
      for (const number of detach) {
        const attachment = link.find(number)
        if (attachment) link.remove(attachment)
      }
      if (deps.ring.hasRivals && attach.length > 0) await prepare(attach)
      const attached = attach.map((given) => attachOne(link, given))
      link.retry()
      return { tenure, attached, lost: link.takeLost() }
    },
    get attachments() {
      let sum = 0
      for (const { link } of links.values()) sum += link.size
      return sum
    },
    async run(signal) {
      try {
        for (;;) {
          await clock.sleep(1000, signal)
          const since = clock.monotonicMs() - silenceMs
          for (const [cannon, { link }] of links) {
            if (link.lastSeenMs >= since) continue
            log.warn({ cannon, sockets: link.size }, 'cannon is gone')
            link.removeAll()
            links.delete(cannon)
          }
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
  }
}
