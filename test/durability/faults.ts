import { timeUuid, ticksOf } from '../../backend/src/platform/time-uuid.ts'
import type { ViolationKind } from './checker.ts'
import {
  factsOf,
  orderOf,
  type Acknowledgement,
  type Facts,
  type Inbox,
  type Notification,
  type Page,
  type Reader,
  type Send,
  type Showing,
  type Socket,
} from './facts.ts'
import type { History, HistoryEntry, HistoryEvent, Shown } from './history.ts'
import { modelLateMs, modelSettleMs } from './model-history.ts'

/** A way to break one promise in a history that keeps them all. */
export interface Fault {
  readonly what: string
  readonly isReportedAs: ViolationKind
  /** Each place where it can be put: a history like the given one, with the fault in it. */
  readonly places: (history: History, facts: Facts) => (() => HistoryEntry[])[]
}

function insertAt(history: History, at: number, ...events: HistoryEvent[]): HistoryEntry[] {
  const atMs = history[at - 1]?.atMs ?? 0
  const entries = [...history]
  for (const event of events.reverse()) entries.splice(at, 0, { atMs, ...event })
  return entries
}

/** The history with other notifications, or without some; `change` is told the reader. */
function reshow(
  history: History,
  change: (shown: Shown, reader: string) => Shown | undefined,
): HistoryEntry[] {
  const readerOf = new Map<string, string>()
  return history.flatMap((entry): HistoryEntry[] => {
    if (entry.kind === 'opened') readerOf.set(entry.socket, entry.reader)
    if (entry.kind === 'asked') readerOf.set(entry.page, entry.reader)
    if (entry.kind === 'shown') {
      const notification = change(entry.notification, readerOf.get(entry.socket) ?? '')
      return notification ? [{ ...entry, notification }] : []
    }
    if (entry.kind === 'page') {
      const reader = readerOf.get(entry.page) ?? ''
      const notifications = entry.notifications.flatMap((each) => change(each, reader) ?? [])
      return [{ ...entry, notifications }]
    }
    return [entry]
  })
}

const inboxesOf = ({ inboxes }: Facts): Inbox[] => [...inboxes.values()]
const readersOf = ({ readers }: Facts): Reader[] => [...readers.values()]
const socketsOf = (facts: Facts): Socket[] => readersOf(facts).flatMap(({ sockets }) => sockets)
const pagesOf = (facts: Facts): Page[] => readersOf(facts).flatMap(({ pages }) => pages)
const sendsOf = ({ sends }: Facts): Send[] => [...sends.values()]
const showingsOn = ({ answer }: Page): readonly Showing[] =>
  answer?.kind === 'page' ? answer.showings : []

/** In the model a notification carries one message. */
const sendIn = ({ events: [event] }: Shown): string => event?.send ?? ''

const inOrder = ({ notifications }: Inbox): Notification[] =>
  [...notifications.values()].sort((one, other) => (one.order < other.order ? -1 : 1))

const shownIn = ({ showings: [first] }: Notification): Shown[] => (first ? [first.shown] : [])

function isOwnInbox(inbox: Inbox, { from }: Send): boolean {
  return inbox.readers.some(({ name }) => name === from)
}

/** Whether nobody asks for a page or opens a socket of the inbox between the two positions. */
function isUndisturbed({ readers }: Inbox, from: number, to: number): boolean {
  const questions = readers.flatMap(({ pages, sockets }) => [
    ...pages.map(({ askedAt }) => askedAt),
    ...sockets.map(({ openedAt }) => openedAt),
  ])
  return questions.every((at) => at < from || at > to)
}

const quietAt = (history: History): number => history.findIndex(({ kind }) => kind === 'quiet')

/** Shows something once more, so that what is missing elsewhere is not lost altogether. */
function showAtEnd(history: History, reader: Reader, notifications: Shown[]): HistoryEntry[] {
  return insertAt(
    history,
    quietAt(history),
    { kind: 'asked', page: 'the final page', reader: reader.name },
    { kind: 'page', page: 'the final page', notifications, hasMore: false },
  )
}

/** Everything that the reader was ever shown. */
const everythingFor = (reader: Reader): Shown[] =>
  inOrder(reader.inbox)
    .filter(({ showings }) => showings.some((showing) => showing.reader === reader))
    .flatMap(shownIn)

function withTime(shown: Shown, time: string): Shown {
  return { ...shown, events: shown.events.map((event) => ({ ...event, time })) }
}

const laterTime = (time: string | undefined, ms: number): string =>
  new Date(Date.parse(time ?? '') + ms).toISOString()

/** Pairs of neighbours in the order of ids, in inboxes that are not their senders'. */
function neighbours(
  facts: Facts,
): { inbox: Inbox; first: Notification; second: Notification; sends: [Send, Send] }[] {
  return inboxesOf(facts).flatMap((inbox) => {
    const all = inOrder(inbox)
    return all.slice(1).flatMap((second, index) => {
      const first = all[index]
      const one = facts.sends.get(first ? sendIn(shownIn(first)[0] ?? noShown) : '')
      const other = facts.sends.get(sendIn(shownIn(second)[0] ?? noShown))
      if (!first || !one || !other) return []
      if (isOwnInbox(inbox, one) || isOwnInbox(inbox, other)) return []
      return [{ inbox, first, second, sends: [one, other] }]
    })
  })
}
const noShown: Shown = { id: '', events: [] }

export const faults: readonly Fault[] = [
  {
    what: 'an acknowledged message never reaches a device',
    isReportedAs: 'lost',
    places: (history, facts) =>
      sendsOf(facts)
        .filter(({ outcome }) => outcome === 'acknowledged')
        .flatMap(({ name, to }) => [...to].map((reader) => ({ name, reader })))
        .filter(
          ({ name, reader }) =>
            // An empty page that is not the last would be another fault.
            !pagesOf(facts).some(
              (page) =>
                page.reader.name === reader &&
                page.answer?.kind === 'page' &&
                page.answer.hasMore &&
                page.answer.showings.every(({ shown }) => sendIn(shown) === name),
            ),
        )
        .map(
          ({ name, reader }) =>
            () =>
              reshow(history, (shown, each) =>
                each === reader && sendIn(shown) === name ? undefined : shown,
              ),
        ),
  },
  {
    what: 'a message of unknown outcome reaches one device of a user and not the other',
    isReportedAs: 'lost',
    places: (history, facts) =>
      sendsOf(facts)
        .filter(({ outcome }) => outcome === 'unknown')
        .flatMap(({ name }) =>
          inboxesOf(facts)
            .filter((inbox) => inbox.readers.every(({ protocol }) => protocol === 'events'))
            .filter(({ readers }) => readers.every(({ seen }) => seen.has(name)))
            .flatMap(({ readers }) => readers.map((reader) => ({ name, reader: reader.name }))),
        )
        .map(
          ({ name, reader }) =>
            () =>
              reshow(history, (shown, each) =>
                each === reader && sendIn(shown) === name ? undefined : shown,
              ),
        ),
  },
  {
    what: 'two messages lie in an inbox against the order in which they were sent',
    isReportedAs: 'reordered',
    places: (history, facts) =>
      neighbours(facts)
        .filter(
          ({ inbox, second, sends: [one, other] }) =>
            one.outcome === 'acknowledged' &&
            other.outcome === 'acknowledged' &&
            one.answeredAt < other.startedAt &&
            inbox.readers.every(({ name }) => one.to.has(name) === other.to.has(name)) &&
            isUndisturbed(inbox, one.answeredAt, other.answeredAt) &&
            // Or the first comes late, in the place of the second.
            second.showings.every(({ atMs }) => atMs - one.answeredAtMs < modelLateMs),
        )
        .map(({ first, second }) => () => {
          const [one = noShown] = shownIn(first)
          const [other = noShown] = shownIn(second)
          return reshow(history, (shown) => {
            if (shown.id === one.id) return { id: one.id, events: swapSend(one, other) }
            if (shown.id === other.id) return { id: other.id, events: swapSend(other, one) }
            return shown
          })
        }),
  },
  {
    what: 'a socket shows two notifications the wrong way round',
    isReportedAs: 'falling-id',
    places: (history, facts) =>
      socketsOf(facts).flatMap(({ showings, reader: { inbox } }) =>
        showings.slice(1).flatMap((second, index) => {
          const first = showings[index]
          if (!first || !isUndisturbed(inbox, first.at, second.at)) return []
          if (second.atMs - first.atMs >= modelLateMs / 2) return []
          return [
            () =>
              history
                .with(first.at, reshown(history, first.at, second.shown))
                .with(second.at, reshown(history, second.at, first.shown)),
          ]
        }),
      ),
  },
  {
    what: 'a page begins with the notification that it should follow',
    isReportedAs: 'falling-id',
    places: (history, facts) =>
      pagesOf(facts).flatMap(({ name, since, reader: { inbox } }) => {
        const notification = inbox.notifications.get(since ?? '')
        if (!notification) return []
        return [
          () =>
            history.map((entry) =>
              entry.kind === 'page' && entry.page === name
                ? { ...entry, notifications: [...shownIn(notification), ...entry.notifications] }
                : entry,
            ),
        ]
      }),
  },
  {
    what: 'a notification comes twice on one socket',
    isReportedAs: 'repeated',
    places: (history, facts) =>
      socketsOf(facts).flatMap(({ name, showings }) =>
        showings.map(
          ({ at, shown }) =>
            () =>
              insertAt(history, at + 1, { kind: 'shown', socket: name, notification: shown }),
        ),
      ),
  },
  {
    what: 'a message is stored again under another id',
    isReportedAs: 'two-ids',
    places: (history, facts) =>
      socketsOf(facts)
        .filter(({ closedAt }) => closedAt === Infinity)
        .flatMap(({ name, reader }) =>
          [...reader.seen].map((send) => () => {
            const newest = inOrder(reader.inbox).at(-1)?.id ?? ''
            const id = timeUuid((ticksOf(newest) ?? 0n) + 1n, Buffer.alloc(8))
            const events = [{ send, time: '2100-01-01T00:00:00.000Z' }]
            return insertAt(history, quietAt(history), {
              kind: 'shown',
              socket: name,
              notification: { id, events },
            })
          }),
        ),
  },
  {
    what: 'a page leaves out what lies behind its start',
    isReportedAs: 'page-gap',
    places: (history, facts) =>
      pagesOf(facts).flatMap((page) => {
        const showings = showingsOn(page)
        const hasMore = page.answer?.kind === 'page' && page.answer.hasMore
        return showings
          .filter(
            ({ shown }, index) =>
              (!hasMore || index < showings.length - 1) &&
              wasAcknowledgedBefore(facts, sendIn(shown), page.askedAt),
          )
          .map(({ shown: left }) => () => {
            const without = history.map((entry) =>
              entry.kind === 'page' && entry.page === page.name
                ? {
                    ...entry,
                    notifications: entry.notifications.filter(({ id }) => id !== left.id),
                  }
                : entry,
            )
            return showAtEnd(without, page.reader, everythingFor(page.reader))
          })
      }),
  },
  {
    what: 'a socket leaves one out',
    isReportedAs: 'socket-gap',
    places: (history, facts) =>
      socketsOf(facts).flatMap(({ openedAt, closedAt, showings, reader }) =>
        showings
          .filter(({ shown }, index) => {
            const send = facts.sends.get(sendIn(shown))
            const isBelowAnother = index < showings.length - 1
            const isMissedInTheEnd = closedAt === Infinity && send?.outcome === 'acknowledged'
            const isAfterOpening =
              reader.protocol === 'events' || index > 0 || (send?.startedAt ?? 0) > openedAt
            return (isBelowAnother || isMissedInTheEnd) && isAfterOpening
          })
          .map(({ at, shown: left }) => () => {
            const without = unacknowledged(history.toSpliced(at, 1), reader, left.id)
            const all = reader.protocol === 'await' ? everythingFor(reader) : [left]
            return showAtEnd(without, reader, all)
          }),
      ),
  },
  {
    what: 'a socket stays open and silent',
    isReportedAs: 'late',
    places: (history, facts) =>
      socketsOf(facts)
        .filter(({ closedAt, reader }) => closedAt < Infinity && reader.protocol === 'await')
        .flatMap(({ name, openedAt, closedAtMs, showings, reader }) =>
          showings
            .filter(({ shown }) => {
              const send = facts.sends.get(sendIn(shown))
              if (send?.outcome !== 'acknowledged' || send.startedAt < openedAt) return false
              const endMs = send.answeredAtMs + modelLateMs
              return (
                endMs < closedAtMs &&
                !facts.absences.some(({ fromMs }) => send.answeredAtMs < fromMs && fromMs < endMs)
              )
            })
            .map(({ at: silentFrom }) => () => {
              const without = history.filter(
                (entry, at) => entry.kind !== 'shown' || entry.socket !== name || at < silentFrom,
              )
              return showAtEnd(without, reader, everythingFor(reader))
            }),
        ),
  },
  {
    what: 'what a device acknowledged long ago comes again',
    isReportedAs: 'acknowledged-again',
    places: (history, facts) =>
      socketsOf(facts).flatMap(({ name, openedAt, openedAtMs, showings, reader }) =>
        [...reader.acknowledgements]
          .filter(
            ([id, given]) =>
              given.some((each) => isSettled(facts, each, openedAtMs)) &&
              showings.every(({ shown }) => orderOf(shown.id) > orderOf(id)),
          )
          .map(([id]) => () => {
            const again = reader.inbox.notifications.get(id)
            return insertAt(history, openedAt + 1, {
              kind: 'shown',
              socket: name,
              notification: (again && shownIn(again)[0]) ?? noShown,
            })
          }),
      ),
  },
  {
    what: 'an inbox keeps what all its devices acknowledged',
    isReportedAs: 'kept',
    places: (history, facts) =>
      facts.left
        .filter(({ inbox }) => inbox.readers.every(({ protocol }) => protocol === 'events'))
        .flatMap(({ inbox }) =>
          inOrder(inbox).map(
            ({ id }) =>
              () =>
                history.map((entry) =>
                  entry.kind === 'left' && entry.inbox === inbox.name
                    ? { ...entry, ids: [id] }
                    : entry,
                ),
          ),
        ),
  },
  ...[
    { what: 'the time of an event goes back', ms: -5 },
    { what: 'two events of an inbox have the same time', ms: 0 },
  ].map(({ what, ms }): Fault => ({
    what,
    isReportedAs: 'time-not-rising',
    places: (history, facts) =>
      neighbours(facts).map(({ first, second }) => () => {
        const time = laterTime(shownIn(first)[0]?.events[0]?.time, ms)
        return reshow(history, (shown) => (shown.id === second.id ? withTime(shown, time) : shown))
      }),
  })),
  {
    what: 'the same notification has another time on another showing',
    isReportedAs: 'changed',
    places: (history, facts) =>
      socketsOf(facts).flatMap(({ showings }) =>
        showings
          .filter(({ at, shown, reader: { inbox } }) =>
            inbox.notifications.get(shown.id)?.showings.some((other) => other.at < at),
          )
          .map(({ at, shown }) => () => {
            const other = withTime(shown, laterTime(shown.events[0]?.time, 1))
            return history.with(at, reshown(history, at, other))
          }),
      ),
  },
  {
    what: 'the sender is told another time than its own devices',
    isReportedAs: 'sender-time',
    places: (history, facts) =>
      sendsOf(facts)
        .filter(({ name, from, outcome }) => {
          const inbox = facts.readers.get(from)?.inbox
          return outcome === 'acknowledged' && inbox?.idsOf.has(name)
        })
        .map(({ answeredAt }) => () => {
          const answer = history[answeredAt]
          if (answer?.kind !== 'acknowledged') return [...history]
          return history.with(answeredAt, { ...answer, time: laterTime(answer.time, 1) })
        }),
  },
  {
    what: 'a refused message is delivered',
    isReportedAs: 'refused-shown',
    places: (history, facts) =>
      sendsOf(facts)
        .filter(({ name, outcome }) => outcome !== 'refused' && isShown(facts, name))
        .map(({ name, answeredAt }) => () => {
          const atMs = history[answeredAt]?.atMs ?? 0
          return history.with(answeredAt, { atMs, kind: 'refused', send: name, reason: '412' })
        }),
  },
  {
    what: 'a message reaches a device that it was not for',
    isReportedAs: 'misdelivered',
    places: (history, facts) =>
      readersOf(facts).flatMap((reader) =>
        [...reader.seen].map(
          (send) => () =>
            history.map((entry) =>
              entry.kind === 'send' && entry.send === send
                ? { ...entry, to: entry.to.filter((name) => name !== reader.name) }
                : entry,
            ),
        ),
      ),
  },
  {
    what: 'a message arrives that nobody sent',
    isReportedAs: 'invented',
    places: (history, facts) =>
      sendsOf(facts)
        .filter(({ name }) => isShown(facts, name))
        .map(
          ({ name }) =>
            () =>
              history.filter((entry) => !('send' in entry) || entry.send !== name),
        ),
  },
  {
    what: 'the server does not know an id that it gave',
    isReportedAs: 'since-refused',
    places: (history, facts) =>
      pagesOf(facts)
        .filter((page) => page.since !== undefined && showingsOn(page).length === 0)
        .map(
          ({ name }) =>
            () =>
              history.map((entry) =>
                entry.kind === 'page' && entry.page === name
                  ? { atMs: entry.atMs, kind: 'page-refused', page: name, status: 404 }
                  : entry,
              ),
        ),
  },
  {
    what: 'an empty page says that there is more',
    isReportedAs: 'empty-page',
    places: (history, facts) =>
      pagesOf(facts)
        .filter((page) => showingsOn(page).length === 0)
        .map(
          ({ name }) =>
            () =>
              history.map((entry) =>
                entry.kind === 'page' && entry.page === name ? { ...entry, hasMore: true } : entry,
              ),
        ),
  },
  {
    what: 'the server says that something was missed',
    isReportedAs: 'missed-announced',
    places: (history, facts) =>
      socketsOf(facts)
        .filter(({ reader }) => reader.protocol === 'events')
        .map(
          ({ name, openedAt }) =>
            () =>
              insertAt(history, openedAt + 1, { kind: 'missed', socket: name }),
        ),
  },
]

/** The first's times with the other's messages. */
function swapSend(one: Shown, other: Shown): Shown['events'] {
  return one.events.map((event) => ({ ...event, send: sendIn(other) }))
}

function reshown(history: History, at: number, notification: Shown): HistoryEntry {
  const entry = history[at]
  if (entry?.kind !== 'shown') throw new Error(`entry ${at} shows nothing`)
  return { ...entry, notification }
}

function wasAcknowledgedBefore({ sends }: Facts, name: string, position: number): boolean {
  const send = sends.get(name)
  return send?.outcome === 'acknowledged' && send.answeredAt < position
}

const isShown = ({ inboxes }: Facts, send: string): boolean =>
  [...inboxes.values()].some(({ idsOf }) => idsOf.has(send))

/** As if the reader had never acknowledged this one. */
function unacknowledged(history: History, { sockets }: Reader, id: string): HistoryEntry[] {
  const names = new Set(sockets.map(({ name }) => name))
  return history.map((entry) => {
    if (entry.kind !== 'acks' || !names.has(entry.socket)) return entry
    const { atMs, socket, ids } = entry
    return { atMs, kind: 'acks', socket, ids: ids.filter((each) => each !== id) }
  })
}

/** Whether server and socket lived long enough to have noted an acknowledgement by `nowMs`. */
function isSettled({ absences }: Facts, given: Acknowledgement, nowMs: number): boolean {
  const { atMs, socket } = given
  const serverEndsMs = absences.map(({ fromMs }) => fromMs)
  const ends = socket.isClosedCleanly ? serverEndsMs : [...serverEndsMs, socket.closedAtMs]
  const hasEnded = ends.some((endMs) => endMs >= atMs && endMs - atMs < modelSettleMs)
  return !hasEnded && nowMs - atMs >= modelSettleMs
}

export const placesOf = (fault: Fault, history: History): (() => HistoryEntry[])[] =>
  fault.places(history, factsOf(history))
