import type { Logger } from 'pino'
import type { WebSocket } from 'ws'
import type { Client } from '../../../contract/endpoint.ts'
import { Unavailable } from '../../../contract/error.ts'
import { attachmentWindow } from '../../../contract/gundeck/attachments.ts'
import type { InboxRow, attachmentsApi } from '../../../contract/gundeck/attachments.ts'
import type { ClientId, ConnectionId, NotificationId, UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { compareTimeUuid } from '../../../platform/time-uuid.ts'
import { Connection } from '../../../platform/ws/connection.ts'
import type { ConnectionListener } from '../../../platform/ws/connection.ts'
import type { WheelItem } from '../../../platform/ws/timer-wheel.ts'
import type { Attachable, OwnerLink, OwnerLinks } from './owner-links.ts'

/** A notification for one socket, in the order of ids. */
export interface LiveRow extends InboxRow {
  readonly isTransient?: boolean | undefined
}

/** What differs between `/await` and `/events`. */
export interface SocketProtocol {
  /** False while the client has to acknowledge before it gets more. */
  readonly hasRoom: boolean
  /**
   * @param shared What `/await` sends for this row, made once for all its sockets.
   * @returns Undefined when the client needs not see it.
   */
  frameOf(row: LiveRow, shared: (() => Buffer) | undefined): Buffer | undefined
  /** The socket is open. False: the protocol starts delivery itself, with `start`. */
  onOpen(socket: LiveSocket): boolean
  /** Everything that waited when the socket was opened has been sent. */
  onCaughtUp(socket: LiveSocket): void
  onMessage(socket: LiveSocket, bytes: Buffer, isText: boolean): void
  /** The client closes: resolves when what it said before cannot be forgotten. Never rejects. */
  onGoodbye?(): Promise<void>
  onClosed(socket: LiveSocket): void
}

/** What all sockets of a cannon share. */
export interface SocketDeps {
  readonly link: OwnerLinks<LiveSocket>
  readonly gundeck: Pick<Client<typeof attachmentsApi>, 'readInbox'>
  readonly clock: Clock
  readonly log: Logger
  readonly longestSocketMs: number
  /** Runs as many reads at once as are good for the store. */
  readonly limitReads: <T>(read: () => Promise<T>) => Promise<T>
  onOpen(socket: LiveSocket): void
  onClosed(socket: LiveSocket): void
}

/** Read from the store at once; about as much as may wait in a window. */
const pageRows = 64
const pageChars = 256 * 1024
/** An upgrade that was not finished by then never will be. */
const handshakeMs = 15_000
const largestUnanswered = 2
const firstRetryMs = 250
/** So long an upgrade waits for the owner of the inbox. */
const longestOpeningMs = 3000
const longestRetryMs = 4000

const nothingHeld: LiveRow[] = []

/**
 * One client's socket. It is `live` while an attachment delivers to it; when that is over, for
 * whatever reason, it reads on from the store, at the pace of the client, until it has caught up.
 */
export class LiveSocket implements Attachable, ConnectionListener, WheelItem {
  readonly user: UserId
  readonly client: ClientId | undefined
  readonly connection: ConnectionId
  readonly #deps: SocketDeps
  readonly #protocol: SocketProtocol
  #connection: Connection | undefined
  #state: 'opening' | 'catching-up' | 'live' | 'closed' = 'opening'
  /** Everything up to here was sent, or is not for this socket. */
  #position: NotificationId | undefined
  #attachment = 0
  #sequence = 0
  #chars = 0
  #confirmed = 0
  #confirmedChars = 0
  /** Delivered while older rows are still being read. */
  #held: LiveRow[] = nothingHeld
  #wake: (() => void) | undefined
  owner: OwnerLink | undefined
  readonly openedMs: number
  wheelSlot = -1
  wheelIndex = -1

  constructor(
    place: { user: UserId; client: ClientId | undefined; connection: ConnectionId },
    protocol: SocketProtocol,
    deps: SocketDeps,
  ) {
    this.user = place.user
    this.client = place.client
    this.connection = place.connection
    this.#protocol = protocol
    this.#deps = deps
    this.openedMs = deps.clock.monotonicMs()
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Attaches before the upgrade is answered: what comes from now on will be delivered. */
  async attach(): Promise<void> {
    const { clock } = this.#deps
    for (;;) {
      try {
        this.#position = await this.#attach()
        return
      } catch (error) {
        // An inbox that changes its owner has none for a moment.
        const waitedMs = clock.monotonicMs() - this.openedMs
        if (!(error instanceof Unavailable) || waitedMs > longestOpeningMs || this.isClosed)
          throw error
      }
      await clock.sleep(firstRetryMs)
    }
  }

  /** Delivery begins behind this position, whatever is live now. */
  startAfter(position: NotificationId): void {
    this.#position = position
  }

  #attach(): Promise<NotificationId> {
    const { link } = this.#deps
    const replaces = this.#attachment
    this.#sequence = 0
    this.#chars = 0
    this.#confirmed = 0
    this.#confirmedChars = 0
    this.#held = nothingHeld
    const { attachment, position } = link.attach(this, {
      user: this.user,
      connection: this.connection,
      ...(this.client === undefined ? {} : { client: this.client }),
      ...(replaces === 0 ? {} : { replaces }),
    })
    this.#attachment = attachment
    return position
  }

  /** The handshake is done; without a socket, because the client has gone. */
  opened(webSocket: WebSocket | undefined): void {
    if (webSocket === undefined) {
      this.onClosed()
      return
    }
    if (this.#state === 'closed') {
      webSocket.terminate()
      return
    }
    this.#connection = new Connection(webSocket, this)
    this.#deps.onOpen(this)
    if (this.#protocol.onOpen(this)) this.start()
  }

  /** Sends what was held since the attachment, or catches up if that is over or was never made. */
  start(): void {
    if (this.#isAttached()) this.#goLive()
    else void this.#catchUp()
  }

  #isAttached(): boolean {
    return this.#deps.link.find(this.#attachment) === this
  }

  /** A delivery under the current attachment. */
  deliver(row: LiveRow, sequence: number, shared: () => Buffer): void {
    if (this.#state === 'closed') return
    if (sequence !== this.#sequence + 1) {
      // One is missing: the store has it.
      this.#deps.link.detach(this.#attachment)
      this.onLost()
      return
    }
    this.#sequence = sequence
    this.#chars += row.payload.length
    if (this.#state !== 'live') {
      if (this.#held === nothingHeld) this.#held = []
      this.#held.push(row)
      return
    }
    if (!this.#protocol.hasRoom) {
      this.#deps.link.detach(this.#attachment)
      this.onLost()
      return
    }
    this.#send(row, shared)
  }

  /** Writes what deliveries have gathered, and confirms it once the system has taken it. */
  flush(): void {
    this.#connection?.flush()
    this.#confirm()
  }

  /** Sends a frame that is not a notification. */
  sendFrame(frame: Buffer): void {
    this.#connection?.send(frame)
    this.#connection?.flush()
  }

  /** Answers a frame of the client; of many that it does not read, only the last one. */
  answer(frame: Buffer): void {
    this.#connection?.answer(frame)
  }

  #send(row: LiveRow, shared: (() => Buffer) | undefined): void {
    if (this.#position !== undefined && compareTimeUuid(row.id, this.#position) <= 0) return
    const frame = this.#protocol.frameOf(row, shared)
    if (frame !== undefined) this.#connection?.send(frame)
    this.#position = row.id
  }

  #confirm(): void {
    if (this.#state !== 'live' || this.#connection?.hasRoom !== true) return
    const messages = this.#sequence - this.#confirmed
    const chars = this.#chars - this.#confirmedChars
    if (messages < attachmentWindow.messages / 4 && chars < attachmentWindow.bytes / 4) return
    this.#confirmed = this.#sequence
    this.#confirmedChars = this.#chars
    this.#deps.link.confirm(this.#attachment, this.#sequence, this.#chars)
  }

  #goLive(): void {
    this.#state = 'live'
    const held = this.#held
    this.#held = nothingHeld
    for (const row of held) {
      if (this.#protocol.hasRoom) {
        this.#send(row, undefined)
      } else if (!row.isTransient) {
        // The store has it, until the client has acknowledged others.
        this.#deps.link.detach(this.#attachment)
        this.onLost()
        return
      }
    }
    this.flush()
    this.#protocol.onCaughtUp(this)
  }

  onLost(): void {
    if (this.#state !== 'live') return
    void this.#catchUp()
  }

  /** Reads and writes until an attachment delivers everything that is newer. Never rejects. */
  async #catchUp(): Promise<void> {
    this.#state = 'catching-up'
    this.#connection?.flush()
    let retryMs = firstRetryMs
    for (let attempt = 0; !this.isClosed; attempt += 1) {
      try {
        // A socket that is far behind would lose another attachment before it has caught up.
        if (attempt > 0 && this.#position !== undefined) await this.#readOn(undefined)
        if (this.isClosed) return
        const upTo = await this.#attach()
        this.#position ??= upTo
        if (compareTimeUuid(this.#position, upTo) < 0) await this.#readOn(upTo)
        if (this.isClosed) return
        if (this.#isAttached()) {
          this.#goLive()
          return
        }
      } catch (error) {
        // The owner of the inbox is not there; the socket waits for it.
        if (this.isClosed) return
        this.#deps.log.debug({ err: error, user: this.user }, 'socket cannot catch up yet')
        await this.#deps.clock.sleep(retryMs)
        retryMs = Math.min(retryMs * 2, longestRetryMs)
      }
    }
  }

  /** Sends rows from the store up to a position, or as long as there are any. */
  async #readOn(upTo: NotificationId | undefined): Promise<void> {
    for (;;) {
      await this.#room()
      const after = this.#position
      if (this.isClosed || after === undefined) return
      const { body } = await this.#deps.limitReads(() =>
        this.#deps.gundeck.readInbox({
          params: { user: this.user },
          body: {
            after,
            connection: this.connection,
            limit: pageRows,
            limitBytes: pageChars,
            ...(this.client === undefined ? {} : { client: this.client }),
          },
        }),
      )
      if (this.isClosed) return
      for (const row of body.rows) {
        await this.#room()
        if (this.isClosed) return
        this.#send(row, undefined)
      }
      this.#connection?.flush()
      if (compareTimeUuid(body.position, this.#position ?? body.position) > 0) {
        this.#position = body.position
      }
      if (!body.hasMore) break
      if (upTo !== undefined && compareTimeUuid(body.position, upTo) >= 0) break
    }
    if (upTo !== undefined && compareTimeUuid(this.#position ?? upTo, upTo) < 0) {
      this.#position = upTo
    }
  }

  /** Resolves when the client can take more, or is gone. */
  async #room(): Promise<void> {
    while (!this.isClosed && !(this.#protocol.hasRoom && this.#connection?.hasRoom === true)) {
      this.#connection?.flush()
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
  }

  /** There may be room again. */
  wake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  onMessage(bytes: Buffer, isText: boolean): void {
    this.#protocol.onMessage(this, bytes, isText)
  }

  onGoodbye(): Promise<void> | undefined {
    return this.#protocol.onGoodbye?.()
  }

  onDrain(): void {
    this.#confirm()
    this.wake()
  }

  onClosed(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#held = nothingHeld
    this.#deps.link.detach(this.#attachment)
    this.#protocol.onClosed(this)
    this.#deps.onClosed(this)
    this.wake()
  }

  close(code: number, reason: string): void {
    if (this.#connection) this.#connection.close(code, reason)
    else this.onClosed()
  }

  /** Ends without a word. */
  terminate(): void {
    if (this.#connection) this.#connection.terminate()
    else this.onClosed()
  }

  onTurn(nowMs: number): void {
    const connection = this.#connection
    if (connection === undefined) {
      if (nowMs - this.openedMs > handshakeMs) this.onClosed()
    } else if (!connection.isOpen) {
      connection.terminate()
    } else if (nowMs - this.openedMs > this.#deps.longestSocketMs) {
      this.close(1001, 'reconnect')
    } else if (connection.unanswered >= largestUnanswered) {
      // What does not answer this either is ended at the next turn.
      this.close(1002, 'inactivity')
    } else {
      connection.ping()
    }
  }
}
