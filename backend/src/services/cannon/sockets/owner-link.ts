import type { Logger } from 'pino'
import type { Client } from '../../../contract/endpoint.ts'
import type { Attach, attachmentsApi } from '../../../contract/gundeck/attachments.ts'
import type { NotificationId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'

/** A socket as the owner of its inbox knows it, under one attachment after another. */
export interface Attachable {
  /** The attachment is over; deliveries under it come no more. */
  onLost(): void
}

export interface OwnerLink<Socket extends Attachable> {
  /** Whose attachment it is, if it is not over. */
  find(attachment: number): Socket | undefined
  /**
   * Attaches under a new number, which deliveries may carry at once. Everything after the resulting
   * position will be delivered. Rejects when the owner does not answer.
   */
  attach(
    socket: Socket,
    place: Omit<Attach, 'attachment'>,
  ): { readonly attachment: number; readonly position: Promise<NotificationId> }
  detach(attachment: number): void
  /** Everything up to this sequence number has been written. */
  confirm(attachment: number, sequence: number, chars: number): void
  /** Milliseconds since the owner last answered. */
  silenceMs(): number
  run(signal: AbortSignal): Promise<void>
}

const heartbeatMs = 1000
/** Of each kind in one call: when every socket attaches again, it takes several. */
const largestCall = 10_000

/**
 * One cannon's calls to the owner of the inboxes. What comes in one turn of the loop goes out
 * together, one call at a time; without any it is a heartbeat once a second.
 */
export function createOwnerLink<Socket extends Attachable>(deps: {
  gundeck: Pick<Client<typeof attachmentsApi>, 'exchangeAttachments'>
  /** Of this process start. */
  cannon: string
  address: string
  clock: Clock
  log: Logger
}): OwnerLink<Socket> {
  const { gundeck, cannon, address, clock, log } = deps
  interface Waiting {
    readonly attach: Attach
    readonly resolve: (position: NotificationId) => void
    readonly reject: (error: unknown) => void
  }
  const sockets = new Map<number, Socket>()
  const attaching: Waiting[] = []
  const detached: number[] = []
  const confirmed = new Map<number, readonly [number, number]>()
  let lastNumber = 0
  let tenure: string | undefined
  let isScheduled = false
  let isCalling = false
  let answeredMs = clock.monotonicMs()

  function lose(number: number): void {
    const socket = sockets.get(number)
    if (socket === undefined) return
    sockets.delete(number)
    socket.onLost()
  }

  async function call(): Promise<void> {
    isCalling = true
    const waiting = attaching.splice(0, largestCall)
    const detach = detached.splice(0, largestCall)
    const confirm: [number, number, number][] = []
    for (const [number, [sequence, chars]] of confirmed) {
      if (confirm.length >= largestCall) break
      confirm.push([number, sequence, chars])
      confirmed.delete(number)
    }
    try {
      const { body } = await gundeck.exchangeAttachments({
        params: { cannon },
        body: { address, attach: waiting.map(({ attach }) => attach), detach, confirm },
      })
      answeredMs = clock.monotonicMs()
      if (body.tenure !== tenure) {
        // The owner started anew and knows only what this call attached.
        const isFirst = tenure === undefined
        tenure = body.tenure
        const known = new Set(waiting.map(({ attach }) => attach.attachment))
        const later = new Set(attaching.map(({ attach }) => attach.attachment))
        const others = [...sockets.keys()].filter((n) => !known.has(n) && !later.has(n))
        if (!isFirst || others.length > 0) {
          log.info({ sockets: others.length }, 'inboxes have another owner, attaching again')
        }
        for (const number of others) lose(number)
      }
      for (const [index, { resolve, reject, attach }] of waiting.entries()) {
        const position = body.attached[index]
        if (position !== undefined) resolve(position)
        else reject(new Error(`attachment ${String(attach.attachment)} was not answered`))
      }
      for (const number of body.lost) lose(number)
    } catch (error) {
      for (const { attach, reject } of waiting) {
        // It may have been made: the number is given up and never used again.
        sockets.delete(attach.attachment)
        detached.push(attach.attachment)
        reject(error)
      }
      detached.push(...detach)
      for (const [number, sequence, chars] of confirm) {
        if (!confirmed.has(number)) confirmed.set(number, [sequence, chars])
      }
      log.warn({ err: error }, 'the owner of the inboxes does not answer')
      isCalling = false
      // Not at once again: the next heartbeat or attachment tries.
      return
    }
    isCalling = false
    if (attaching.length + detached.length + confirmed.size > 0) schedule()
  }

  function schedule(): void {
    if (isScheduled || isCalling) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      if (!isCalling) void call()
    })
  }

  return {
    find: (attachment) => sockets.get(attachment),
    attach(socket, place) {
      lastNumber += 1
      const attachment = lastNumber
      const { promise: position, resolve, reject } = Promise.withResolvers<NotificationId>()
      if (place.replaces !== undefined) sockets.delete(place.replaces)
      sockets.set(attachment, socket)
      attaching.push({ attach: { ...place, attachment }, resolve, reject })
      schedule()
      return { attachment, position }
    },
    detach(attachment) {
      if (!sockets.delete(attachment)) return
      confirmed.delete(attachment)
      detached.push(attachment)
      schedule()
    },
    confirm(attachment, sequence, chars) {
      confirmed.set(attachment, [sequence, chars])
      schedule()
    },
    silenceMs: () => clock.monotonicMs() - answeredMs,
    async run(signal) {
      try {
        for (;;) {
          await clock.sleep(heartbeatMs, signal)
          schedule()
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
  }
}
