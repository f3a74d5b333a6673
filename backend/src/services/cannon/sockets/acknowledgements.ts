import type { Logger } from 'pino'
import type { Client, ClientInput } from '../../../contract/endpoint.ts'
import type { queueApi } from '../../../contract/gundeck/attachments.ts'
import type { Clock } from '../../../platform/clock.ts'
import { compareTimeUuid } from '../../../platform/time-uuid.ts'

export type Acknowledgement = ClientInput<
  (typeof queueApi)['acknowledge']
>['body']['acknowledgements'][number]

/** Carries acknowledgements to the inboxes, gathered by client, one call at a time. */
export interface Acknowledgements {
  add(acknowledgement: Acknowledgement): void
  /** Resolves when it is durable. */
  addNow(acknowledgement: Acknowledgement): Promise<void>
  /**
   * Resolves when everything added before is durable. Where the inboxes have noted nothing for seconds
   * it resolves without that, at once while that lasts: they are told later.
   */
  flush(): Promise<void>
}

/** While the inboxes cannot note anything, they are asked so often. */
const repeatMs = 500
/** An inbox that changes its owner notes nothing for about so long. */
const patienceMs = 3000

/** @param deps.signal Ends the repeating. */
export function createAcknowledgements(deps: {
  gundeck: Pick<Client<typeof queueApi>, 'acknowledge'>
  clock: Clock
  log: Logger
  signal: AbortSignal
}): Acknowledgements {
  const { gundeck, clock, log, signal } = deps
  let waiting = new Map<string, Acknowledgement>()
  /** The call that is under way, and the one after it. */
  let current: Promise<void> | undefined
  let next: Promise<void> | undefined
  let isRepeating = false
  /** Since when nothing could be noted. */
  let failingSinceMs: number | undefined

  function note(acknowledgement: Acknowledgement): void {
    const key = acknowledgement.user + acknowledgement.client
    const earlier = waiting.get(key)
    waiting.set(key, earlier ? together(earlier, acknowledgement) : acknowledgement)
  }

  /** Resolves when a call with all that waits now has ended, well or not. */
  function send(): Promise<void> {
    next ??= (async () => {
      await current
      // What comes in this turn of the loop goes with it.
      await new Promise(setImmediate)
      next = undefined
      current = call()
      await current
    })()
    return next
  }

  async function call(): Promise<void> {
    if (waiting.size === 0) return
    const sent = [...waiting.values()]
    waiting = new Map()
    try {
      await gundeck.acknowledge({ body: { acknowledgements: sent } })
      failingSinceMs = undefined
    } catch (error) {
      failingSinceMs ??= clock.monotonicMs()
      log.warn({ err: error, count: sent.length }, 'acknowledgements not noted, repeating')
      for (const acknowledgement of sent) note(acknowledgement)
      void repeat()
    }
  }

  /** What is never noted, because this process ends first, comes again on the client's next socket. */
  async function repeat(): Promise<void> {
    if (isRepeating) return
    isRepeating = true
    await clock.sleep(repeatMs, signal).catch(() => undefined)
    isRepeating = false
    if (!signal.aborted) await send()
  }

  return {
    add(acknowledgement) {
      note(acknowledgement)
      if (!isRepeating) void send()
    },
    async addNow(acknowledgement) {
      await gundeck.acknowledge({ body: { acknowledgements: [acknowledgement] } })
    },
    async flush() {
      const isWorthWaiting = (): boolean =>
        failingSinceMs !== undefined && clock.monotonicMs() - failingSinceMs < patienceMs
      await (waiting.size > 0 ? send() : current)
      while (isWorthWaiting() && !signal.aborted) {
        await clock.sleep(repeatMs, signal).catch(() => undefined)
        await send()
      }
    },
  }
}

/** One that tells what both do: they may come from one socket or from two. */
function together(one: Acknowledgement, other: Acknowledgement): Acknowledgement {
  const cursor = compareTimeUuid(one.cursor, other.cursor) < 0 ? other.cursor : one.cursor
  const beyond = new Set([...one.acknowledged, ...other.acknowledged])
  return {
    ...other,
    cursor,
    acknowledged: [...beyond].filter((id) => compareTimeUuid(id, cursor) > 0),
  }
}
