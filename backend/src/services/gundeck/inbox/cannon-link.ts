import type { Logger } from 'pino'
import type { Client } from '../../../contract/endpoint.ts'
import type { CloseReason, Delivery, deliveriesApi } from '../../../contract/cannon/internal.ts'
import { attachmentWindow } from '../../../contract/gundeck/attachments.ts'
import type { ClientId, ConnectionId, NotificationId } from '../../../contract/ids.ts'
import type { Inbox } from './inbox.ts'

/** A socket's place at an inbox: what is pushed to it, and how much of that it has confirmed. */
export interface Attachment {
  readonly number: number
  readonly link: CannonLink
  readonly inbox: Inbox
  readonly client: ClientId | undefined
  readonly connection: ConnectionId
  /** The last number given out, and the last that was confirmed. */
  sequence: number
  confirmed: number
  /** Payload characters, likewise. */
  sentChars: number
  confirmedChars: number
}

/** Deliveries that may wait for one cannon's answer before its attachments are let go. */
const largestWaitingChars = 32 * 1024 * 1024

/**
 * Everything for the sockets of one cannon. Deliveries of one turn of the loop go out as one call,
 * and one call at a time, so that they arrive in order. Whatever goes wrong, the attachments
 * concerned are over, and the cannon reads on from the store: the owner never waits for a socket.
 */
export class CannonLink {
  readonly #client: Client<typeof deliveriesApi>
  readonly #log: Logger
  readonly #attachments = new Map<number, Attachment>()
  #deliveries: Delivery[] = []
  #waitingChars = 0
  #lost: number[] = []
  #close: { attachment: number; reason: CloseReason }[] = []
  #isScheduled = false
  #isCalling = false
  lastSeenMs = 0

  constructor(client: Client<typeof deliveriesApi>, log: Logger) {
    this.#client = client
    this.#log = log
  }

  get size(): number {
    return this.#attachments.size
  }

  find(number: number): Attachment | undefined {
    return this.#attachments.get(number)
  }

  add(attachment: Attachment): void {
    this.#attachments.set(attachment.number, attachment)
  }

  /** Forgets an attachment; its cannon knows, or is told otherwise. */
  remove(attachment: Attachment): void {
    if (!this.#attachments.delete(attachment.number)) return
    attachment.inbox.detach(attachment)
  }

  removeAll(): void {
    for (const attachment of this.#attachments.values()) this.remove(attachment)
  }

  close(attachment: Attachment, reason: CloseReason): void {
    this.remove(attachment)
    this.#close.push({ attachment: attachment.number, reason })
    this.#schedule()
  }

  /** The attachment is over; its socket continues from the store when it can. */
  lose(attachment: Attachment): void {
    this.remove(attachment)
    this.#lost.push(attachment.number)
    this.#schedule()
  }

  push(attachment: Attachment, id: NotificationId, payload: string, isTransient: boolean): void {
    const waiting = attachment.sentChars - attachment.confirmedChars
    const isFull =
      attachment.sequence - attachment.confirmed >= attachmentWindow.messages ||
      (waiting > 0 && waiting + payload.length > attachmentWindow.bytes)
    if (isFull || this.#waitingChars > largestWaitingChars) {
      this.lose(attachment)
      return
    }
    attachment.sequence += 1
    attachment.sentChars += payload.length
    const last = this.#deliveries.at(-1)
    if (last?.id === id && last.payload === payload) {
      last.to.push([attachment.number, attachment.sequence])
      return
    }
    this.#waitingChars += payload.length
    this.#deliveries.push({
      id,
      payload,
      ...(isTransient ? { isTransient } : {}),
      to: [[attachment.number, attachment.sequence]],
    })
    this.#schedule()
  }

  confirm(number: number, sequence: number, chars: number): void {
    const attachment = this.#attachments.get(number)
    if (!attachment || sequence <= attachment.confirmed || sequence > attachment.sequence) return
    attachment.confirmed = sequence
    attachment.confirmedChars = chars
  }

  /** The numbers of attachments that are over, for the answer to the cannon's own call. */
  takeLost(): number[] {
    const lost = this.#lost
    this.#lost = []
    return lost
  }

  /** Says again what a failed call did not get through. */
  retry(): void {
    if (this.#close.length + this.#deliveries.length > 0) this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isCalling) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      void this.#flush()
    })
  }

  async #flush(): Promise<void> {
    this.#isCalling = true
    while (this.#deliveries.length + this.#lost.length + this.#close.length > 0) {
      const deliveries = this.#deliveries
      const lost = this.takeLost()
      const close = this.#close
      this.#deliveries = []
      this.#close = []
      this.#waitingChars = 0
      try {
        const { body } = await this.#client.deliver({ body: { deliveries, lost, close } })
        for (const number of body.unknown) {
          const attachment = this.#attachments.get(number)
          if (attachment) this.remove(attachment)
        }
      } catch (error) {
        this.#log.warn({ err: error, deliveries: deliveries.length }, 'deliveries not taken')
        // Said again with the cannon's next heartbeat, together with everything it has not got.
        for (const { to } of deliveries) {
          for (const [number] of to) {
            const attachment = this.#attachments.get(number)
            if (attachment) this.remove(attachment)
            this.#lost.push(number)
          }
        }
        this.#lost.push(...lost)
        this.#close.push(...close)
        break
      }
    }
    this.#isCalling = false
  }
}
