import type { Logger } from 'pino'
import type { Client } from '../../../contract/endpoint.ts'
import type { deliveriesApi } from '../../../contract/cannon/internal.ts'
import type { Attach } from '../../../contract/gundeck/attachments.ts'
import type { NotificationId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { CannonLink } from './cannon-link.ts'
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
  ): { tenure: string; attached: NotificationId[]; lost: number[] }
  /** Open sockets at all cannons. */
  readonly attachments: number
  run(signal: AbortSignal): Promise<void>
}

/** Cannons say something every second; one that was silent so long is gone. */
const silenceMs = 15_000

export function createCannons(deps: {
  cannonAt: CannonAt
  inboxes: Inboxes
  tenureName: string
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
    const tenure = `${deps.tenureName}/${String(linkCount)}`
    const made = { link: new CannonLink(deps.cannonAt(address), log), tenure }
    links.set(cannon, made)
    return made
  }

  return {
    exchange(cannon, { address, attach, detach, confirm }) {
      const { link, tenure } = linkOf(cannon, address)
      link.lastSeenMs = clock.monotonicMs()
      for (const [number, sequence, chars] of confirm) link.confirm(number, sequence, chars)
      for (const number of detach) {
        const attachment = link.find(number)
        if (attachment) link.remove(attachment)
      }
      const attached = attach.map(({ attachment: number, replaces, user, client, connection }) => {
        const replaced = replaces === undefined ? undefined : link.find(replaces)
        if (replaced) link.remove(replaced)
        const inbox = inboxes.get(user)
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
      })
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
