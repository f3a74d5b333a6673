import * as fc from 'fast-check'

import { timeUuid, ticksOfMs } from '../../backend/src/platform/time-uuid.ts'
import { orderOf } from './facts.ts'
import type { HistoryEntry, HistoryEvent, Protocol, Shown } from './history.ts'

/** How long the model's server may take to note an acknowledgement. */
export const modelSettleMs = 1_000
/** The model shows everything before it lets time pass; its other steps take so long together. */
export const modelLateMs = 3_000

interface ModelReader {
  readonly name: string
  readonly inbox: string
  readonly protocol: Protocol
}

const cast: readonly ModelReader[] = [
  { name: 'ann/phone', inbox: 'ann', protocol: 'await' },
  { name: 'ben/phone', inbox: 'ben', protocol: 'await' },
  { name: 'ben/desk', inbox: 'ben', protocol: 'events' },
  { name: 'cat/phone', inbox: 'cat', protocol: 'events' },
  { name: 'cat/desk', inbox: 'cat', protocol: 'events' },
]
const inboxNames = ['ann', 'ben', 'cat']

/** What becomes of a request: whether it is stored, and what its sender hears. */
type Fate = 'acknowledged' | 'refused' | 'unknown, stored' | 'unknown, stored in part' | 'unknown'

type Command =
  | { readonly kind: 'send'; readonly from: number; readonly isGroup: boolean }
  | { readonly kind: 'answer'; readonly which: number; readonly fate: Fate }
  | { readonly kind: 'open'; readonly reader: number }
  | {
      readonly kind: 'close'
      readonly reader: number
      readonly isClean: boolean
      readonly isLosing: boolean
    }
  | { readonly kind: 'show'; readonly reader: number; readonly count: number }
  | { readonly kind: 'page'; readonly reader: number; readonly size: number }
  | { readonly kind: 'acknowledge'; readonly reader: number; readonly count: number }
  | { readonly kind: 'restart'; readonly isClean: boolean; readonly isLosing: boolean }
  | { readonly kind: 'wait'; readonly ms: number }

const reader = fc.nat({ max: cast.length - 1 })
const small = fc.integer({ min: 1, max: 4 })

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('send'), from: reader, isGroup: fc.boolean() }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('answer'),
      which: fc.nat({ max: 3 }),
      fate: fc.oneof(
        { weight: 8, arbitrary: fc.constant('acknowledged') },
        { weight: 1, arbitrary: fc.constant('refused') },
        { weight: 1, arbitrary: fc.constant('unknown, stored') },
        { weight: 1, arbitrary: fc.constant('unknown, stored in part') },
        { weight: 1, arbitrary: fc.constant('unknown') },
      ),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('open'), reader }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('close'),
      reader,
      isClean: fc.boolean(),
      isLosing: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('show'), reader, count: small }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('page'), reader, size: small }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('acknowledge'), reader, count: small }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('restart'),
      isClean: fc.boolean(),
      isLosing: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.nat({ max: 2_000 }) }) },
)

/** Histories of a server that keeps every promise. */
export const validHistory: fc.Arbitrary<HistoryEntry[]> = fc
  .array(command, { minLength: 20, maxLength: 150, size: 'max' })
  .map((commands) => play(commands))

interface Row {
  readonly shown: Shown
  readonly to: ReadonlySet<string>
}

interface OpenSocket {
  readonly name: string
  /** Rows that the server has sent and the reader has not been shown. */
  readonly underWay: Shown[]
  /** Shown on this socket. */
  readonly shown: string[]
  /** Held back by the reader until it has read the pages that came before. */
  isCaughtUp: boolean
}

interface Place {
  readonly reader: ModelReader
  socket: OpenSocket | undefined
  since: string | undefined
  /** `/events`: ids that were acknowledged, with the moment. */
  readonly acknowledged: Map<string, number>
}

interface Pending {
  readonly send: string
  readonly from: ModelReader
  readonly to: readonly string[]
}

/** A server in a few lines: one list per inbox, ids and times that rise whatever happens. */
function play(commands: readonly Command[]): HistoryEntry[] {
  const entries: HistoryEntry[] = []
  const rows = new Map<string, Row[]>(inboxNames.map((name) => [name, []]))
  const places: Place[] = cast.map((each) => ({
    reader: each,
    socket: undefined,
    since: undefined,
    acknowledged: new Map(),
  }))
  let pending: Pending[] = []
  let atMs = 0
  let made = 0

  function note(event: HistoryEvent): void {
    atMs += 1
    entries.push({ atMs, ...event })
  }

  function rowsOf({ reader: { name, inbox } }: Place): Row[] {
    return (rows.get(inbox) ?? []).filter(({ to }) => to.has(name))
  }

  /** What the place has yet to get, by its own account. */
  function unacknowledged(place: Place): Shown[] {
    return rowsOf(place)
      .map(({ shown }) => shown)
      .filter(({ id }) => !place.acknowledged.has(id))
  }

  function append(inbox: string, { send, to }: Pending): Shown {
    made += 1
    const ms = 1_700_000_000_000 + made * 3
    const id = timeUuid(ticksOfMs(ms), Buffer.alloc(8, inbox))
    const shown = { id, events: [{ send, time: new Date(ms).toISOString() }] }
    rows.get(inbox)?.push({ shown, to: new Set(to) })
    for (const {
      reader: { name, inbox: own },
      socket,
    } of places) {
      if (own === inbox && to.includes(name)) socket?.underWay.push(shown)
    }
    return shown
  }

  function answer(request: Pending, fate: Fate): void {
    const inboxes = inboxNames.filter((inbox) =>
      cast.some((each) => each.inbox === inbox && request.to.includes(each.name)),
    )
    const { send, from } = request
    switch (fate) {
      case 'acknowledged': {
        const stored = inboxes.map((inbox) => [inbox, append(inbox, request)] as const)
        const own = stored.find(([inbox]) => inbox === from.inbox) ?? stored[0]
        note({ kind: 'acknowledged', send, time: own?.[1].events[0]?.time ?? '' })
        return
      }
      case 'refused':
        note({ kind: 'refused', send, reason: '412' })
        return
      case 'unknown, stored':
      case 'unknown, stored in part':
        for (const inbox of fate === 'unknown, stored' ? inboxes : inboxes.slice(0, 1)) {
          append(inbox, request)
        }
        note({ kind: 'unknown', send, reason: 'connection lost' })
        return
      case 'unknown':
        note({ kind: 'unknown', send, reason: 'connection lost' })
    }
  }

  /** @param isLosing Whether the server has not noted what was acknowledged a moment ago. */
  function close(place: Place, isClean: boolean, isLosing: boolean): void {
    const { socket } = place
    if (!socket) return
    note({ kind: 'closed', socket: socket.name, isClean })
    place.socket = undefined
    if (isLosing && !isClean) loseYoung(place, socket.shown)
  }

  function loseYoung({ acknowledged }: Place, ids: Iterable<string>): void {
    for (const id of ids) {
      if (atMs - (acknowledged.get(id) ?? -Infinity) < modelSettleMs) acknowledged.delete(id)
    }
  }

  function open(place: Place): void {
    close(place, true, false)
    made += 1
    const socket = {
      name: `socket ${made}`,
      underWay: place.reader.protocol === 'events' ? unacknowledged(place) : [],
      shown: [],
      isCaughtUp: false,
    }
    place.socket = socket
    note({ kind: 'opened', socket: socket.name, reader: place.reader.name })
  }

  function show(place: Place, count: number): void {
    const { socket } = place
    if (!socket) return
    for (const shown of socket.underWay.splice(0, count)) {
      note({ kind: 'shown', socket: socket.name, notification: shown })
      socket.shown.push(shown.id)
      const isNew = place.since === undefined || orderOf(shown.id) > orderOf(place.since)
      if (socket.isCaughtUp && isNew) place.since = shown.id
    }
  }

  function page(place: Place, size: number): boolean {
    if (place.reader.protocol === 'events') return false
    const { since, socket } = place
    const all = rowsOf(place).map(({ shown }) => shown)
    const start = all.findIndex(({ id }) => id === since) + 1
    const notifications = all.slice(start, start + size)
    const hasMore = start + size < all.length
    made += 1
    const name = `page ${made}`
    note({
      kind: 'asked',
      page: name,
      reader: place.reader.name,
      ...(since !== undefined && { since }),
    })
    note({ kind: 'page', page: name, notifications, hasMore })
    place.since = notifications.at(-1)?.id ?? since
    if (socket && !hasMore) {
      // The page reaches at least as far as the socket has shown.
      socket.isCaughtUp = true
    }
    return hasMore
  }

  function acknowledge(place: Place, count: number): void {
    const { socket, acknowledged } = place
    if (!socket || place.reader.protocol === 'await') return
    const ids = socket.shown.filter((id) => !acknowledged.has(id)).slice(0, count)
    if (ids.length === 0) return
    note({ kind: 'acks', socket: socket.name, ids })
    for (const id of ids) acknowledged.set(id, atMs)
  }

  function restart(isClean: boolean, isLosing: boolean): void {
    note({ kind: 'server-ended', how: isClean ? 'stopped' : 'killed' })
    for (const place of places) {
      close(place, false, false)
      if (isLosing && !isClean) loseYoung(place, [...place.acknowledged.keys()])
    }
    for (const { send } of pending) note({ kind: 'unknown', send, reason: 'connection lost' })
    pending = []
    note({ kind: 'server-started', clockOffsetMs: 0 })
  }

  function perform(step: Command): void {
    switch (step.kind) {
      case 'send': {
        const from = cast[step.from]
        if (!from) return
        const others = cast.filter((each) => each !== from)
        // The others of the room, or the next inbox and the sender's own other devices.
        const peer = inboxNames[(inboxNames.indexOf(from.inbox) + 1) % inboxNames.length]
        const to = others
          .filter(({ inbox }) => step.isGroup || inbox === peer || inbox === from.inbox)
          .map(({ name }) => name)
        made += 1
        const send = `send ${made}`
        note({ kind: 'send', send, from: from.name, room: step.isGroup ? 'all' : 'two', to })
        pending.push({ send, from, to })
        return
      }
      case 'answer': {
        const [request] = pending.splice(step.which % Math.max(1, pending.length), 1)
        if (request) answer(request, step.fate)
        return
      }
      case 'restart':
        return restart(step.isClean, step.isLosing)
      case 'wait':
        for (const place of places) show(place, Infinity)
        atMs += step.ms
        return
      case 'open':
      case 'close':
      case 'show':
      case 'page':
      case 'acknowledge': {
        const place = places[step.reader]
        if (!place) return
        if (step.kind === 'open') open(place)
        else if (step.kind === 'close') close(place, step.isClean, step.isLosing)
        else if (step.kind === 'show') show(place, step.count)
        else if (step.kind === 'page') page(place, step.size)
        else acknowledge(place, step.count)
      }
    }
  }

  for (const { name, inbox, protocol } of cast) {
    note({ kind: 'reader', reader: name, inbox, protocol })
  }
  note({ kind: 'server-started', clockOffsetMs: 0 })
  for (const step of commands) perform(step)

  // A last message to everybody but its sender, who does not acknowledge: all cursors reach the end.
  perform({ kind: 'send', from: 0, isGroup: true })
  for (const request of pending) answer(request, 'acknowledged')
  for (const place of places) {
    if (!place.socket) open(place)
    show(place, Infinity)
    while (page(place, 10)) continue
    acknowledge(place, Infinity)
  }
  note({ kind: 'quiet' })
  atMs += modelSettleMs
  for (const inbox of inboxNames) {
    // Erased behind the slowest device; devices that do not acknowledge keep everything.
    const isErasing = cast.every((each) => each.inbox !== inbox || each.protocol === 'events')
    const ids = isErasing ? [] : (rows.get(inbox) ?? []).map(({ shown: { id } }) => id)
    note({ kind: 'left', inbox, ids })
  }
  return entries
}
