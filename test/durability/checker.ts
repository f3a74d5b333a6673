import {
  factsOf,
  orderOf,
  type Acknowledgement,
  type Facts,
  type Inbox,
  type Notification,
  type Reader,
  type Send,
  type Showing,
  type Socket,
  type Span,
} from './facts.ts'
import type { History } from './history.ts'

/** What can be wrong, and the promise that it breaks. */
export const promises = {
  /** An acknowledged message, or one that somebody saw, was never shown to a device it was for. */
  lost: 'D1, D3',
  /** A page left out what lay between `since` and its end. */
  'page-gap': 'D3',
  /** A socket left out what came between two others, or stayed silent. */
  'socket-gap': 'D3',
  /** Not on an open socket for so long that its client must think that nothing came. */
  late: 'D6',
  /** The server announced a loss though nothing expired. */
  'missed-announced': 'D3',
  /** 404 for an id that the server itself had given. */
  'since-refused': 'D3',
  /** No notification, but more to come: a client would ask for ever. */
  'empty-page': 'D3',
  /** What was sent after the answer to another message has the lower id. */
  reordered: 'D2',
  /** An id on a socket or page that is not above the one before it, or above `since`. */
  'falling-id': 'D2',
  /** The times of an inbox's events do not rise strictly: Wire's web client would drop one. */
  'time-not-rising': 'D2',
  /** Twice on one socket or page. */
  repeated: 'D4',
  /** One message under two ids in one inbox. */
  'two-ids': 'D4',
  /** The same id with another message or another time. */
  changed: 'D4',
  /** Shown again to a device whose acknowledgement the server had time to note. */
  'acknowledged-again': 'D4, D5',
  /** Still in the inbox, behind what the slowest device acknowledged. */
  kept: 'D5',
  /** Refused, and shown nevertheless. */
  'refused-shown': 'D1',
  /** Never sent. */
  invented: 'D1',
  /** Shown to a device it was not for. */
  misdelivered: 'D1',
  /** The time in the answer is not the one in the sender's own inbox. */
  'sender-time': 'D2',
} as const

export type ViolationKind = keyof typeof promises

export interface Violation {
  readonly kind: ViolationKind
  readonly text: string
}

export interface CheckOptions {
  /**
   * An acknowledgement counts once its socket was closed cleanly, or the server and the socket lived
   * on for so long: one that came right before a kill, or while nothing could be written, may be
   * lost, and its notification come again.
   */
  readonly settleMs: number
  /** What was acknowledged to its sender is on all open sockets so soon after, if nothing ends. */
  readonly lateMs: number
  /**
   * Where inboxes may change their owner twice while a send is repeated, its message may come under
   * two ids (decision 004, limits). A send that was answered within so long was not repeated over two
   * changes. Nothing is forgiven unless given.
   */
  readonly movesMs?: number
}

/**
 * Holds a recorded history against what the server promises. Sends of unknown outcome may have been
 * stored or not, in each inbox of its own; what was shown once counts as stored.
 */
export function checkHistory(history: History, options: CheckOptions): Violation[] {
  const facts = factsOf(history)
  const settled = settledAcknowledgements(facts, options)
  const ofReaders = [...facts.readers.values()].map((reader) => {
    const due = dueTo(reader, facts)
    const onSockets = reader.sockets.map((socket) =>
      orderOnSocket(socket).concat(lacksOfSocket(socket, due, facts, options)),
    )
    return onSockets
      .flat()
      .concat(orderOnPages(reader), gapsOnPages(reader, due), shownAgain(reader, settled))
  })
  return lost(facts).concat(
    strangers(facts),
    identities(facts, options),
    orderOfSends(facts),
    times(facts),
    ofReaders.flat(),
    kept(facts, settled),
    announced(facts),
  )
}

function violation(kind: ViolationKind, text: string): Violation {
  return { kind, text }
}

function announced({ missed }: Facts): Violation[] {
  return missed.map(({ name, reader }) =>
    violation('missed-announced', `${name} told ${reader.name} that it missed something`),
  )
}

function lost({ sends, readers, quiet }: Facts): Violation[] {
  const found: Violation[] = []
  const lastQuiet = quiet.at(-1) ?? -1
  for (const send of sends.values()) {
    if (send.answeredAt > lastQuiet) continue
    for (const name of send.to) {
      const reader = readers.get(name)
      if (!reader || reader.seen.has(send.name)) continue
      const isStored = send.outcome === 'acknowledged' || reader.inbox.idsOf.has(send.name)
      if (isStored) found.push(violation('lost', `${send.name} never came to ${name}`))
    }
  }
  return found
}

/** Messages that should not have been shown, or not to this reader. */
function strangers({ inboxes, sends }: Facts): Violation[] {
  return showingsOf(inboxes).flatMap(({ reader, shown, where }) =>
    shown.events.flatMap(({ send: name }) => {
      if (name === undefined) return []
      const send = sends.get(name)
      const what = `${name} on ${where}`
      if (!send) return [violation('invented', what)]
      if (send.outcome === 'refused') return [violation('refused-shown', what)]
      const isFor = send.to.has(reader.name) || send.from === reader.name
      return isFor ? [] : [violation('misdelivered', what)]
    }),
  )
}

function showingsOf(inboxes: Facts['inboxes']): Showing[] {
  return [...inboxes.values()].flatMap(({ notifications }) =>
    [...notifications.values()].flatMap(({ showings }) => showings),
  )
}

function identities({ inboxes, sends }: Facts, { movesMs = Infinity }: CheckOptions): Violation[] {
  function isRepeatedOverMoves(name: string): boolean {
    const send = sends.get(name)
    return send !== undefined && send.answeredAtMs - send.startedAtMs >= movesMs
  }
  return [...inboxes.values()].flatMap(({ name, idsOf, notifications }) => {
    const found: Violation[] = []
    for (const [send, ids] of idsOf) {
      if (ids.size === 1 || isRepeatedOverMoves(send)) continue
      found.push(violation('two-ids', `${send} is ${[...ids].join(' and ')} in ${name}`))
    }
    for (const { id, showings } of notifications.values()) {
      const contents = showings.map(({ shown }) => JSON.stringify(shown.events))
      const other = contents.find((content) => content !== contents[0])
      if (other === undefined) continue
      found.push(violation('changed', `${id} was ${contents[0]} and then ${other}`))
    }
    return found
  })
}

/** The only id of a message in an inbox; none when it has several, which is reported elsewhere. */
function onlyId(inbox: Inbox, send: string): string | undefined {
  const ids = inbox.idsOf.get(send)
  return ids?.size === 1 ? [...ids][0] : undefined
}

const inOrder = (inbox: Inbox): Notification[] =>
  [...inbox.notifications.values()].sort((one, other) => (one.order < other.order ? -1 : 1))

const sendsIn = ({ showings: [first] }: Notification): string[] =>
  first?.shown.events.flatMap(({ send }) => (send === undefined ? [] : [send])) ?? []

/** Ids of an inbox rise from every acknowledged message to those that were sent after the answer. */
function orderOfSends({ inboxes, sends }: Facts): Violation[] {
  return [...inboxes.values()].flatMap((inbox) => {
    const found: Violation[] = []
    let firstAnswered: Send | undefined
    for (const notification of inOrder(inbox).reverse()) {
      for (const name of sendsIn(notification)) {
        const send = sends.get(name)
        if (!send || onlyId(inbox, name) === undefined) continue
        if (firstAnswered && firstAnswered.answeredAt < send.startedAt) {
          const text = `${name} came before ${firstAnswered.name} in ${inbox.name}`
          found.push(violation('reordered', text))
        }
        if (send.outcome !== 'acknowledged') continue
        if (!firstAnswered || send.answeredAt < firstAnswered.answeredAt) firstAnswered = send
      }
    }
    return found
  })
}

function times({ inboxes, sends, readers }: Facts): Violation[] {
  const found: Violation[] = []
  for (const inbox of inboxes.values()) {
    let last: string | undefined
    for (const { id, showings } of inOrder(inbox)) {
      for (const { time } of showings[0]?.shown.events ?? []) {
        if (time === undefined) continue
        if (last !== undefined && Date.parse(time) <= Date.parse(last)) {
          found.push(violation('time-not-rising', `${time} of ${id} follows ${last}`))
        }
        last = time
      }
    }
  }
  for (const { name, from, time } of sends.values()) {
    const inbox = readers.get(from)?.inbox
    const id = inbox && onlyId(inbox, name)
    if (time === undefined || id === undefined) continue
    const events = inbox?.notifications.get(id)?.showings[0]?.shown.events
    const own = events?.find(({ send }) => send === name)?.time
    if (own === undefined || Date.parse(own) === Date.parse(time)) continue
    found.push(violation('sender-time', `${name} was answered ${time}, its sender's is ${own}`))
  }
  return found
}

function orderOnSocket({ name, showings }: Socket): Violation[] {
  return risingIds(name, showings, undefined)
}

function orderOnPages({ pages }: Reader): Violation[] {
  return pages.flatMap(({ name, since, answer }) => {
    if (!answer) return []
    if (answer.kind === 'refused') {
      return answer.status === 404 ? [violation('since-refused', `${name}, since ${since}`)] : []
    }
    const found = risingIds(name, answer.showings, since)
    if (answer.hasMore && answer.showings.length === 0) found.push(violation('empty-page', name))
    return found
  })
}

function risingIds(
  where: string,
  showings: readonly Showing[],
  since: string | undefined,
): Violation[] {
  const found: Violation[] = []
  const before = new Set<string>()
  let greatest = since === undefined ? '' : orderOf(since)
  for (const { shown } of showings) {
    const order = orderOf(shown.id)
    if (before.has(shown.id)) found.push(violation('repeated', `${shown.id} on ${where}`))
    else if (order <= greatest) found.push(violation('falling-id', `${shown.id} on ${where}`))
    before.add(shown.id)
    if (order > greatest) greatest = order
  }
  return found
}

/** A notification that a reader has to be shown. */
interface Due {
  readonly id: string
  readonly order: string
  readonly send: Send
  /** From here on it is certain that the inbox holds it. */
  readonly storedBy: number
  /** When that was; Infinity when its sender was never told. */
  readonly acknowledgedMs: number
}

/** In order, without what was lost altogether or has two ids: that is reported as such. */
function dueTo(reader: Reader, { sends }: Facts): Due[] {
  return inOrder(reader.inbox).flatMap((notification) =>
    sendsIn(notification).flatMap((name) => {
      const send = sends.get(name)
      if (!send?.to.has(reader.name) || !reader.seen.has(name)) return []
      if (onlyId(reader.inbox, name) === undefined) return []
      const { id, order, showings } = notification
      const isAcknowledged = send.outcome === 'acknowledged'
      const acknowledgedAt = isAcknowledged ? send.answeredAt : Infinity
      const acknowledgedMs = isAcknowledged ? send.answeredAtMs : Infinity
      const storedBy = Math.min(acknowledgedAt, ...showings.map(({ at }) => at))
      return [{ id, order, send, storedBy, acknowledgedMs }]
    }),
  )
}

const isAcknowledgedBefore = (reader: Reader, id: string, position: number): boolean =>
  reader.acknowledgements.get(id)?.some(({ at }) => at < position) ?? false

function gapsOnPages(reader: Reader, due: readonly Due[]): Violation[] {
  return reader.pages.flatMap(({ name, since, askedAt, answer }) => {
    if (answer?.kind !== 'page') return []
    const { showings, hasMore } = answer
    const shown = new Set(showings.map(({ shown: { id } }) => id))
    const last = showings.at(-1)?.shown.id
    const start = since === undefined ? '' : orderOf(since)
    const end = hasMore ? (last === undefined ? start : orderOf(last)) : undefined
    return due
      .filter(
        ({ id, order, storedBy }) =>
          order > start &&
          (end === undefined || order <= end) &&
          storedBy < askedAt &&
          !shown.has(id) &&
          !isAcknowledgedBefore(reader, id, askedAt),
      )
      .map(({ id, send }) => violation('page-gap', `${send.name} (${id}) is not on ${name}`))
  })
}

/** Left out between others, or not there though everything had the time to come. */
function gapsOnSocket(socket: Socket, due: readonly Due[], { quiet }: Facts): Due[] {
  const { reader, openedAt, closedAt, showings } = socket
  const shown = new Set(showings.map(({ shown: { id } }) => id))
  const orders = showings.map(({ shown: { id } }) => orderOf(id))
  const first = orders.reduce((one, other) => (one < other ? one : other), '~')
  const last = orders.reduce((one, other) => (one > other ? one : other), '')
  const lastShownAt = showings.at(-1)?.at ?? -1
  /** The last moment at which the open socket had shown everything. */
  const quietAt = quiet.findLast((at) => openedAt < at && at < closedAt) ?? -1
  const isCovered =
    reader.protocol === 'events'
      ? // Everything that waits is repeated until it is acknowledged.
        ({ id }: Due) => !isAcknowledgedBefore(reader, id, openedAt)
      : // Nothing older is repeated; what was sent on the open socket is not older.
        ({ order, send }: Due) => order > first || send.startedAt > openedAt
  return due.filter(
    (each) =>
      !shown.has(each.id) &&
      ((each.order < last && each.send.startedAt < lastShownAt) || each.storedBy < quietAt) &&
      isCovered(each),
  )
}

function lacksOfSocket(
  socket: Socket,
  due: readonly Due[],
  facts: Facts,
  { lateMs }: CheckOptions,
): Violation[] {
  const { name, openedAt, closedAtMs, showings } = socket
  const gaps = gapsOnSocket(socket, due, facts)
  const missing = new Set(gaps.map(({ id }) => id))
  const shownMs = new Map(showings.map(({ shown, atMs }) => [shown.id, atMs]))
  const late = due.filter(({ id, send, acknowledgedMs }) => {
    const latestMs = acknowledgedMs + lateMs
    return (
      send.startedAt > openedAt &&
      !missing.has(id) &&
      latestMs < Math.min(closedAtMs, shownMs.get(id) ?? Infinity) &&
      !facts.absences.some((absence) => overlaps(absence, acknowledgedMs, latestMs))
    )
  })
  return [
    ...gaps.map(({ id, send }) =>
      violation('socket-gap', `${send.name} (${id}) is not on ${name}`),
    ),
    ...late.map(({ id, send }) => {
      const afterMs = (shownMs.get(id) ?? Infinity) - send.answeredAtMs
      return violation('late', `${send.name} (${id}) is on ${name} after ${afterMs} ms`)
    }),
  ]
}

type Settled = (reader: Reader, id: string) => number

/** When the server had noted an acknowledgement, in milliseconds; Infinity when it may not have. */
function settledAcknowledgements(
  { absences, fullDisks }: Facts,
  { settleMs }: CheckOptions,
): Settled {
  const troubles = [...absences, ...fullDisks]
  function settledMs({ atMs, socket }: Acknowledgement): number {
    if (troubles.some((trouble) => overlaps(trouble, atMs, atMs + settleMs))) return Infinity
    if (socket.isClosedCleanly) return Math.min(socket.closedAtMs, atMs + settleMs)
    return socket.closedAtMs - atMs < settleMs ? Infinity : atMs + settleMs
  }
  return (reader, id) => {
    const given = reader.acknowledgements.get(id) ?? []
    return Math.min(Infinity, ...given.map((each) => settledMs(each)))
  }
}

const overlaps = (span: Span, fromMs: number, toMs: number): boolean =>
  span.fromMs < toMs && fromMs <= span.toMs

function shownAgain(reader: Reader, settled: Settled): Violation[] {
  const askings = [
    ...reader.sockets.map(({ openedAtMs, showings }) => ({ atMs: openedAtMs, showings })),
    ...reader.pages.map(({ askedAtMs, answer }) => ({
      atMs: askedAtMs,
      showings: answer?.kind === 'page' ? answer.showings : [],
    })),
  ]
  return askings.flatMap(({ atMs, showings }) =>
    showings
      .filter(({ shown }) => settled(reader, shown.id) <= atMs)
      .map(({ shown, where }) => violation('acknowledged-again', `${shown.id} on ${where}`)),
  )
}

/** How far a reader has acknowledged everything that it was shown. */
function cursorOf(reader: Reader, atMs: number, settled: Settled, quiet: Facts['quiet']): string {
  let cursor = ''
  for (const { id, order, showings } of inOrder(reader.inbox)) {
    if (!showings.some((showing) => showing.reader === reader)) continue
    if (settled(reader, id) > atMs && !isNoted(reader, id, quiet)) break
    cursor = order
  }
  return cursor
}

/** Whether a later socket shows, by staying silent, that the server has an acknowledgement. */
function isNoted(reader: Reader, id: string, quiet: Facts['quiet']): boolean {
  const at = reader.acknowledgements.get(id)?.at(-1)?.at
  if (at === undefined) return false
  return reader.sockets.some(
    ({ openedAt, closedAt, showings }) =>
      openedAt > at &&
      quiet.some((quietAt) => openedAt < quietAt && quietAt < closedAt) &&
      showings.every(({ shown }) => shown.id !== id),
  )
}

function kept({ left, quiet }: Facts, settled: Settled): Violation[] {
  return left.flatMap(({ inbox, ids, atMs }) => {
    // Devices that do not acknowledge need everything until it expires.
    if (inbox.readers.some(({ protocol }) => protocol !== 'events')) return []
    const slowest = inbox.readers
      .map((reader) => cursorOf(reader, atMs, settled, quiet))
      .reduce((one, other) => (one < other ? one : other), '~')
    return ids
      .filter((id) => inbox.notifications.has(id) && orderOf(id) <= slowest)
      .map((id) => violation('kept', `${id} is still in ${inbox.name}`))
  })
}
