import type { History, HistoryEntry, Protocol, Shown } from './history.ts'

/** Positions are indexes into the history; an earlier one happened before a later one. */
type Position = number

export interface Send {
  readonly name: string
  readonly from: string
  readonly to: ReadonlySet<string>
  readonly startedAt: Position
  readonly startedAtMs: number
  outcome: 'acknowledged' | 'refused' | 'unknown' | undefined
  /** When the outcome was known. */
  answeredAt: Position
  answeredAtMs: number
  /** The time in the 201. */
  time: string | undefined
}

/** One time that a notification was shown to a reader, on a socket or on a page. */
export interface Showing {
  readonly reader: Reader
  readonly at: Position
  readonly atMs: number
  readonly where: string
  readonly shown: Shown
}

export interface Notification {
  readonly id: string
  readonly order: string
  readonly showings: Showing[]
}

export interface Inbox {
  readonly name: string
  readonly readers: Reader[]
  readonly notifications: Map<string, Notification>
  /** The ids under which each message was shown. */
  readonly idsOf: Map<string, Set<string>>
}

export interface Acknowledgement {
  readonly at: Position
  readonly atMs: number
  readonly socket: Socket
}

export interface Reader {
  readonly name: string
  readonly inbox: Inbox
  readonly protocol: Protocol
  readonly sockets: Socket[]
  readonly pages: Page[]
  /** Messages that it was shown. */
  readonly seen: Set<string>
  /** By notification id, in order. */
  readonly acknowledgements: Map<string, Acknowledgement[]>
}

export interface Socket {
  readonly name: string
  readonly reader: Reader
  readonly openedAt: Position
  readonly openedAtMs: number
  closedAt: Position
  closedAtMs: number
  isClosedCleanly: boolean
  readonly showings: Showing[]
}

export interface Page {
  readonly name: string
  readonly reader: Reader
  readonly since: string | undefined
  readonly askedAt: Position
  readonly askedAtMs: number
  answer:
    | { readonly kind: 'page'; readonly showings: readonly Showing[]; readonly hasMore: boolean }
    | { readonly kind: 'refused'; readonly status: number }
    | undefined
}

/** Milliseconds of the recording process's clock. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** A history, sorted by what it is about. */
export interface Facts {
  readonly sends: ReadonlyMap<string, Send>
  readonly inboxes: ReadonlyMap<string, Inbox>
  readonly readers: ReadonlyMap<string, Reader>
  /** Where the history was quiet; ascending. */
  readonly quiet: readonly Position[]
  readonly left: readonly { readonly inbox: Inbox; readonly ids: readonly string[]; atMs: number }[]
  /** Sockets that announced a loss. */
  readonly missed: readonly Socket[]
  /** When the server, or a part of it, ended and when it was there again; ascending. */
  readonly absences: readonly Span[]
  readonly fullDisks: readonly Span[]
}

/**
 * Text whose order is that of the time in a version 1 UUID (RFC 9562 §5.1): what "after" means for
 * clients and server.
 */
export function orderOf(id: string): string {
  const fields = /^([0-9a-f]{8})-([0-9a-f]{4})-1([0-9a-f]{3})-/.exec(id)
  if (!fields) throw new Error(`${id} is no version 1 UUID in lower case`)
  const [, low = '', mid = '', high = ''] = fields
  return high + mid + low
}

export function factsOf(history: History): Facts {
  const sends = new Map<string, Send>()
  const inboxes = new Map<string, Inbox>()
  const readers = new Map<string, Reader>()
  const sockets = new Map<string, Socket>()
  const pages = new Map<string, Page>()
  const quiet: number[] = []
  const left: Facts['left'][number][] = []
  const missed: Socket[] = []
  const absences: { fromMs: number; toMs: number }[] = []
  const fullDisks: { fromMs: number; toMs: number }[] = []

  function show(reader: Reader, at: Position, where: string, shown: Shown): Showing {
    const { inbox } = reader
    const showing = { reader, at, atMs: history[at]?.atMs ?? 0, where, shown }
    let notification = inbox.notifications.get(shown.id)
    if (!notification) {
      notification = { id: shown.id, order: orderOf(shown.id), showings: [] }
      inbox.notifications.set(shown.id, notification)
    }
    notification.showings.push(showing)
    for (const { send } of shown.events) {
      if (send === undefined) continue
      reader.seen.add(send)
      const ids = inbox.idsOf.get(send)
      if (ids) ids.add(shown.id)
      else inbox.idsOf.set(send, new Set([shown.id]))
    }
    return showing
  }

  function note(entry: HistoryEntry, at: Position): void {
    switch (entry.kind) {
      case 'reader': {
        let inbox = inboxes.get(entry.inbox)
        if (!inbox) {
          inbox = { name: entry.inbox, readers: [], notifications: new Map(), idsOf: new Map() }
          inboxes.set(inbox.name, inbox)
        }
        const reader = {
          name: entry.reader,
          inbox,
          protocol: entry.protocol,
          sockets: [],
          pages: [],
          seen: new Set<string>(),
          acknowledgements: new Map<string, Acknowledgement[]>(),
        }
        inbox.readers.push(reader)
        readers.set(reader.name, reader)
        return
      }
      case 'server-started': {
        const absence = absences.at(-1)
        if (absence) absence.toMs = entry.atMs
        return
      }
      case 'server-frozen':
        absences.push({ fromMs: entry.atMs - entry.ms, toMs: entry.atMs })
        return
      case 'disk-full':
        fullDisks.push({ fromMs: entry.atMs, toMs: Infinity })
        return
      case 'disk-free': {
        const full = fullDisks.at(-1)
        if (full) full.toMs = entry.atMs
        return
      }
      case 'server-ended':
        absences.push({ fromMs: entry.atMs, toMs: Infinity })
        return
      case 'send':
        sends.set(entry.send, {
          name: entry.send,
          from: entry.from,
          to: new Set(entry.to),
          startedAt: at,
          startedAtMs: entry.atMs,
          outcome: undefined,
          answeredAt: Infinity,
          answeredAtMs: Infinity,
          time: undefined,
        })
        return
      case 'acknowledged':
      case 'refused':
      case 'unknown': {
        const send = known(sends, entry.send)
        send.outcome = entry.kind
        send.answeredAt = at
        send.answeredAtMs = entry.atMs
        if (entry.kind === 'acknowledged') send.time = entry.time
        return
      }
      case 'opened': {
        const reader = known(readers, entry.reader)
        const socket = {
          name: entry.socket,
          reader,
          openedAt: at,
          openedAtMs: entry.atMs,
          closedAt: Infinity,
          closedAtMs: Infinity,
          isClosedCleanly: false,
          showings: [],
        }
        reader.sockets.push(socket)
        sockets.set(socket.name, socket)
        return
      }
      case 'shown': {
        const socket = known(sockets, entry.socket)
        socket.showings.push(show(socket.reader, at, socket.name, entry.notification))
        return
      }
      case 'missed':
        missed.push(known(sockets, entry.socket))
        return
      case 'acks': {
        const socket = known(sockets, entry.socket)
        const { acknowledgements } = socket.reader
        const acknowledgement = { at, atMs: entry.atMs, socket }
        for (const id of entry.ids) {
          const given = acknowledgements.get(id)
          if (given) given.push(acknowledgement)
          else acknowledgements.set(id, [acknowledgement])
        }
        return
      }
      case 'closed': {
        const socket = known(sockets, entry.socket)
        socket.closedAt = at
        socket.closedAtMs = entry.atMs
        socket.isClosedCleanly = entry.isClean
        return
      }
      case 'asked': {
        const reader = known(readers, entry.reader)
        const page: Page = {
          name: entry.page,
          reader,
          since: entry.since,
          askedAt: at,
          askedAtMs: entry.atMs,
          answer: undefined,
        }
        reader.pages.push(page)
        pages.set(page.name, page)
        return
      }
      case 'page': {
        const page = known(pages, entry.page)
        const showings = entry.notifications.map((each) => show(page.reader, at, page.name, each))
        page.answer = { kind: 'page', showings, hasMore: entry.hasMore }
        return
      }
      case 'page-refused':
        known(pages, entry.page).answer = { kind: 'refused', status: entry.status }
        return
      case 'quiet':
        quiet.push(at)
        return
      case 'left':
        left.push({ inbox: known(inboxes, entry.inbox), ids: entry.ids, atMs: entry.atMs })
    }
  }

  for (const [at, entry] of history.entries()) note(entry, at)
  return { sends, inboxes, readers, quiet, left, missed, absences, fullDisks }
}

function known<T>(named: ReadonlyMap<string, T>, name: string): T {
  const found = named.get(name)
  if (found === undefined) throw new Error(`The history speaks of ${name} before it exists`)
  return found
}
