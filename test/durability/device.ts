import { setTimeout as sleep } from 'node:timers/promises'

import type { RawClient, RawReply } from '../support/wire/raw.ts'
import type {
  EventsMessage,
  EventsSocket,
  WireEvent,
  WireNotification,
} from '../support/wire/raw-socket.ts'
import { sameForAll } from '../support/wire/otr-message.ts'
import type { QualifiedId } from '../support/wire/wire-types.ts'
import { orderOf } from './facts.ts'
import type { HistoryRecorder, Protocol, Shown, ShownEvent } from './history.ts'

export interface Room {
  readonly name: string
  readonly id: QualifiedId
  readonly members: readonly DeviceIdentity[]
}

export interface DeviceIdentity {
  /** As the history calls it: `ann/phone`. */
  readonly name: string
  readonly protocol: Protocol
  readonly user: QualifiedId
  /** Hex. */
  readonly client: string
}

/** A device that sends and reads through thick and thin, and records all of it. */
export interface Device extends DeviceIdentity {
  /** Reads until stopped, over one socket after another. */
  readonly isOnline: boolean
  read(signal: AbortSignal): Promise<void>
  /** @param paddingChars What the message is longer by. */
  send(room: Room, paddingChars?: number): Promise<SendOutcome>
  /** Tells the user's other devices something, in an event without a time. */
  setProperty(others: readonly DeviceIdentity[]): Promise<SendOutcome>
  /** Everything that the server has for this device, from the oldest on; true when it was read. */
  readAll(): Promise<boolean>
  /** Names of messages that it was shown. */
  readonly seen: ReadonlySet<string>
  /** What the sockets' frames had that no frame may have. */
  readonly faults: readonly string[]
  readonly raw: RawClient
}

export type SendOutcome = { readonly name: string } & (
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'refused' | 'unknown'; readonly reason: string; readonly status?: number }
)

/** How a device behaves. */
export interface Habits {
  /** From 0 up to 1. */
  readonly random: () => number
  /** Whether sockets are left of the device's own accord. */
  isRestless: boolean
}

/** Of a restless device. */
const longestSocketMs = { often: 3_000, rarely: 15_000 }
const longestAbsenceMs = { often: 600, rarely: 4_000 }

const neverMs = 2 ** 31 - 1
const pageSize = 100
const requestTimeoutMs = 20_000
const reconnectMs = { shortest: 20, longest: 500 }

interface SocketRecord {
  readonly socket: string
  /** Notes the opening, once: the first frame may come before the client hears that it is open. */
  readonly open: () => void
  readonly close: (isClean: boolean) => void
}

export function createDevice(
  identity: DeviceIdentity,
  raw: RawClient,
  recorder: HistoryRecorder,
  habits: Habits,
): Device {
  const { name, protocol } = identity
  const { record } = recorder
  const seen = new Set<string>()
  const faults: string[] = []
  let isOnline = false
  let sends = 0
  let sockets = 0
  let pages = 0
  /** The greatest id up to which everything was shown. */
  let since: string | undefined

  const upTo = (ms: number): number => habits.random() * ms

  function handle(shown: Shown): void {
    for (const { send } of shown.events) if (send !== undefined) seen.add(send)
  }

  async function request<T>(
    method: string,
    path: string,
    query?: Record<string, string | number | undefined>,
  ): Promise<RawReply<T>> {
    const signal = AbortSignal.timeout(requestTimeoutMs)
    const reply = await raw.request<T>(method, path, { signal, ...(query && { query }) })
    if (reply.status === 401) await raw.access({ device: identity.client })
    return reply
  }

  /** One page, recorded; undefined when there was none. */
  async function readPage(
    after: string | undefined,
  ): Promise<{ shown: Shown[]; hasMore: boolean } | undefined> {
    pages += 1
    const page = `${name} page ${pages}`
    record({ kind: 'asked', page, reader: name, ...(after !== undefined && { since: after }) })
    const { status, json } = await request<{
      notifications: WireNotification[]
      has_more: boolean
    }>('GET', '/notifications', { since: after, client: identity.client, size: pageSize })
    if (status !== 200) {
      record({ kind: 'page-refused', page, status })
      return undefined
    }
    const shown = json.notifications.map((each) => shownOf(each))
    record({ kind: 'page', page, notifications: shown, hasMore: json.has_more })
    for (const each of shown) handle(each)
    return { shown, hasMore: json.has_more }
  }

  async function readPages(start: string | undefined, onLast: (id: string) => void) {
    for (let after = start; ;) {
      const page = await readPage(after)
      if (!page) return false
      after = page.shown.at(-1)?.id ?? after
      if (after !== undefined) onLast(after)
      if (!page.hasMore || page.shown.length === 0) return true
    }
  }

  /** Sends once, whatever becomes of it, and records that. */
  async function attempt(
    room: string,
    to: readonly DeviceIdentity[],
    perform: (send: string, signal: AbortSignal) => Promise<RawReply<{ time?: string }>>,
  ): Promise<SendOutcome> {
    sends += 1
    const send = `${name} #${sends}`
    record({ kind: 'send', send, from: name, room, to: to.map((each) => each.name) })
    const signal = AbortSignal.timeout(requestTimeoutMs)
    const outcome = await perform(send, signal).catch((error: unknown) => error as Error)
    if (outcome instanceof Error) {
      const reason = reasonOf(outcome)
      // Where nobody listens nothing was sent.
      const kind = reason === 'ECONNREFUSED' ? 'refused' : 'unknown'
      record({ kind, send, reason })
      return { kind, name: send, reason }
    }
    const { status, json, text } = outcome
    if (status === 200 || status === 201) {
      const { time } = json ?? {}
      record({ kind: 'acknowledged', send, ...(time !== undefined && { time }) })
      return { kind: 'acknowledged', name: send }
    }
    const reason = `${status} ${text.slice(0, 200)}`
    const kind = status >= 500 ? 'unknown' : 'refused'
    record({ kind, send, reason })
    if (status === 401) await raw.access({ device: identity.client }).catch(() => undefined)
    return { kind, name: send, reason, status }
  }

  function newSocket(): SocketRecord {
    sockets += 1
    const socket = `${name} socket ${sockets}`
    let state: 'opening' | 'open' | 'closed' = 'opening'
    return {
      socket,
      open() {
        if (state === 'opening') record({ kind: 'opened', socket, reader: name })
        if (state === 'opening') state = 'open'
      },
      close(isClean) {
        if (state === 'open') record({ kind: 'closed', socket, isClean })
        state = 'closed'
      },
    }
  }

  /** Until somebody else ends the socket, the device has had enough of it, or it is to stop. */
  async function stay(closed: Promise<unknown>, signal: AbortSignal): Promise<void> {
    const left = new AbortController()
    const whole = AbortSignal.any([signal, left.signal])
    const wait = (ms: number): Promise<void> =>
      sleep(ms, undefined, { signal: whole }).catch(() => undefined)
    const enough = wait(upTo(longestSocketMs[habits.random() < 0.15 ? 'rarely' : 'often'])).then(
      () => (habits.isRestless ? undefined : wait(neverMs)),
    )
    await Promise.race([closed, enough])
    left.abort()
  }

  /**
   * The order of Wire's clients: open, hold back what comes live, read the pages since the last id,
   * then go on live.
   */
  async function readOnAwait(signal: AbortSignal): Promise<void> {
    const { socket, open, close } = newSocket()
    const held: Shown[] = []
    let isCaughtUp = false
    const advance = ({ id }: Shown): void => {
      if (since === undefined || orderOf(id) > orderOf(since)) since = id
    }
    const live = await raw.openAwait({
      onNotification(notification) {
        open()
        if (notification.transient) return
        const shown = shownOf(notification)
        record({ kind: 'shown', socket, notification: shown })
        if (!isCaughtUp) held.push(shown)
        else {
          handle(shown)
          advance(shown)
        }
      },
    })
    open()
    let isClean = false
    try {
      isOnline = await readPages(since, (id) => (since = id))
      if (!isOnline) return
      isCaughtUp = true
      for (const shown of held) {
        handle(shown)
        advance(shown)
      }
      await stay(live.closed, signal)
    } finally {
      isOnline = false
      if (habits.random() < 0.5) live.terminate()
      else isClean = (await live.close()).code === 1000
      await live.closed
      close(isClean)
      faults.push(...live.faults)
    }
  }

  /** Acknowledges one by one or many at once, soon or late; what is left comes again. */
  async function readOnEvents(signal: AbortSignal): Promise<void> {
    const { socket, open, close } = newSocket()
    const tags: { tag: number; id: string }[] = []
    const patience = Math.floor(upTo(8))
    let live: EventsSocket | undefined
    let isEnding = false

    function acknowledge(): void {
      const last = tags.at(-1)
      if (!live || !last) return
      if (habits.random() < 0.5) {
        record({ kind: 'acks', socket, ids: tags.map(({ id }) => id) })
        live.acknowledge(last.tag, { multiple: true })
      } else {
        for (const { tag, id } of tags) {
          record({ kind: 'acks', socket, ids: [id] })
          live.acknowledge(tag)
        }
      }
      tags.length = 0
    }

    function receive(message: EventsMessage): void {
      open()
      if (message.type === 'notifications_missed') {
        record({ kind: 'missed', socket })
        live?.acknowledgeFullSync()
      } else if (message.type === 'event') {
        const { event, delivery_tag: tag } = message.data
        const shown = shownOf(event)
        record({ kind: 'shown', socket, notification: shown })
        handle(shown)
        tags.push({ tag, id: shown.id })
        if (!isEnding && tags.length > patience) acknowledge()
      }
    }

    live = await raw.openEvents({ onMessage: receive })
    open()
    let isClean = false
    try {
      isOnline = true
      const pause = setInterval(() => acknowledge(), 50)
      await stay(live.closed, signal).finally(() => clearInterval(pause))
      isEnding = true
      // Now and then it leaves without a word about the last ones.
      if (habits.random() < 0.5) acknowledge()
    } finally {
      isOnline = false
      isClean = (await live.close()).code === 1000
      close(isClean)
      faults.push(...live.faults)
    }
  }

  return {
    ...identity,
    raw,
    seen,
    faults,
    get isOnline() {
      return isOnline
    },

    async read(signal) {
      let pauseMs = reconnectMs.shortest
      while (!signal.aborted) {
        try {
          await (protocol === 'await' ? readOnAwait(signal) : readOnEvents(signal))
          pauseMs = upTo(longestAbsenceMs[habits.random() < 0.15 ? 'rarely' : 'often'])
        } catch {
          // No server at the moment, or it went away.
          pauseMs = Math.min(Math.max(pauseMs, reconnectMs.shortest) * 2, reconnectMs.longest)
          await raw.access({ device: identity.client }).catch(() => undefined)
        }
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
      }
    },

    send(room, paddingChars = 0) {
      const to = room.members.filter((member) => member.name !== name)
      const devices: Record<string, Record<string, string[]>> = {}
      for (const { user, client } of to) {
        const users = (devices[user.domain] ??= {})
        const clients = (users[user.id] ??= [])
        clients.push(client)
      }
      return attempt(room.name, to, (send, signal) => {
        const recipients = sameForAll(devices, `${send}\n${'.'.repeat(paddingChars)}`)
        return raw.sendOtr(room.id, { recipients }, { signal })
      })
    },

    setProperty: (others) =>
      attempt('properties', others, (send, signal) =>
        raw.request('PUT', '/properties/latest', { json: send, signal }),
      ),

    readAll: () => readPages(undefined, () => undefined),
  }
}

function reasonOf(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error
  return 'code' in cause ? String(cause.code) : cause.message
}

function shownOf({ id, payload }: WireNotification): Shown {
  return { id, events: payload.map((event) => shownEvent(event)) }
}

function shownEvent({ type, time, data, value }: WireEvent): ShownEvent {
  switch (type) {
    case 'conversation.otr-message-add': {
      const [send = ''] = Buffer.from((data as { text: string }).text, 'base64')
        .toString('utf8')
        .split('\n')
      return { send, ...(time !== undefined && { time }) }
    }
    case 'user.properties-set':
      return { send: String(value) }
    default:
      return type.startsWith('conversation.') && time !== undefined ? { time } : {}
  }
}
