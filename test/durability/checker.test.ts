import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { ticksOfMs, timeUuid } from '../../backend/src/platform/time-uuid.ts'
import { checkHistory } from './checker.ts'
import { faults, placesOf } from './faults.ts'
import type { History, HistoryEntry, HistoryEvent } from './history.ts'
import { modelLateMs, modelSettleMs, validHistory } from './model-history.ts'

const options = { settleMs: modelSettleMs, lateMs: modelLateMs }
const kindsIn = (history: History): Set<string> =>
  new Set(checkHistory(history, options).map(({ kind }) => kind))

/** One event a millisecond, and pauses, about a phone that uses `/await` and one that uses `/events`. */
function historyOf(...events: (HistoryEvent | { ms: number })[]): HistoryEntry[] {
  const readers: HistoryEvent[] = [
    { kind: 'reader', reader: 'ann', inbox: 'ann', protocol: 'await' },
    { kind: 'reader', reader: 'ben', inbox: 'ben', protocol: 'events' },
    { kind: 'server-started', clockOffsetMs: 0 },
  ]
  const entries: HistoryEntry[] = []
  let atMs = 0
  for (const event of [...readers, ...events]) {
    if ('kind' in event) entries.push({ atMs, ...event })
    atMs += 'ms' in event ? event.ms : 1
  }
  return entries
}
const send = (name: string): HistoryEvent => ({
  kind: 'send',
  send: name,
  from: 'ann',
  room: 'two',
  to: ['ben'],
})
const answered = (name: string): HistoryEvent => ({
  kind: 'acknowledged',
  send: name,
  time: '2023-11-14T22:13:20.000Z',
})
const unanswered = (name: string): HistoryEvent => ({
  kind: 'unknown',
  send: name,
  reason: 'connection lost',
})
const opened = (socket: string): HistoryEvent => ({ kind: 'opened', socket, reader: 'ben' })
const closed = (socket: string): HistoryEvent => ({ kind: 'closed', socket, isClean: true })
const shown = (socket: string, name: string, ms: number): HistoryEvent => {
  const timeMs = 1_700_000_000_000 + ms
  const time = new Date(timeMs).toISOString()
  const id = timeUuid(ticksOfMs(timeMs), Buffer.alloc(8))
  return { kind: 'shown', socket, notification: { id, events: [{ send: name, time }] } }
}
const acks = (socket: string, ms: number): HistoryEvent => {
  const id = timeUuid(ticksOfMs(1_700_000_000_000 + ms), Buffer.alloc(8))
  return { kind: 'acks', socket, ids: [id] }
}
const killed: HistoryEvent[] = [
  { kind: 'server-ended', how: 'killed' },
  { kind: 'server-started', clockOffsetMs: -3_600_000 },
]
const quiet: HistoryEvent = { kind: 'quiet' }

it('lets a message of unknown outcome arrive or not, and its repetition beside it', () => {
  const unknown = [send('hi'), unanswered('hi'), send('hi again'), answered('hi again')]
  const again = shown('s', 'hi again', 2)
  expect(kindsIn(historyOf(opened('s'), ...unknown, again, quiet))).toEqual(new Set())
  const both = [opened('s'), ...unknown, shown('s', 'hi', 1), again, quiet]
  expect(kindsIn(historyOf(...both))).toEqual(new Set())
})

it('lets an acknowledgement be lost that came right before a kill', () => {
  const first = [opened('s'), send('hi'), answered('hi'), shown('s', 'hi', 1), acks('s', 1)]
  const again = [closed('s'), opened('t'), shown('t', 'hi', 1), quiet]
  expect(kindsIn(historyOf(...first, ...killed, ...again))).toEqual(new Set())
  const pause = { ms: modelSettleMs }
  const late = historyOf(...first, pause, ...again)
  expect(kindsIn(late)).toEqual(new Set(['acknowledged-again']))
})

it('lets acknowledgements be lost that came while nothing could be written', () => {
  const first = [opened('s'), send('hi'), answered('hi'), shown('s', 'hi', 1)]
  const again = [{ ms: modelSettleMs }, closed('s'), opened('t'), shown('t', 'hi', 1), quiet]
  const full: HistoryEvent = { kind: 'disk-full' }
  const free: HistoryEvent = { kind: 'disk-free' }
  expect(kindsIn(historyOf(...first, full, acks('s', 1), free, ...again))).toEqual(new Set())
  const later = historyOf(...first, full, free, acks('s', 1), ...again)
  expect(kindsIn(later)).toEqual(new Set(['acknowledged-again']))
})

it('notices a server that forgets, with its clock set back, how far its ids had come', () => {
  const before = [send('one'), answered('one'), opened('s'), shown('s', 'one', 9), closed('s')]
  const after = [opened('t'), send('two'), answered('two'), shown('t', 'two', 5)]
  const rest = [shown('t', 'one', 9), quiet]
  expect(kindsIn(historyOf(...before, ...killed, ...after, ...rest))).toEqual(
    new Set(['reordered']),
  )
})

it('forgives a second id only to a send that was repeated while inboxes moved', () => {
  const twice = (...pause: { ms: number }[]): HistoryEntry[] =>
    historyOf(
      opened('s'),
      send('one'),
      shown('s', 'one', 5),
      ...pause,
      answered('one'),
      shown('s', 'one', 9),
      quiet,
    )
  const kinds = (history: History): string[] =>
    checkHistory(history, { ...options, movesMs: 1500 }).map(({ kind }) => kind)
  expect(kinds(twice())).toEqual(['two-ids'])
  expect(kinds(twice({ ms: 1500 }))).toEqual([])
  expect(kindsIn(twice({ ms: 1500 }))).toEqual(new Set(['two-ids']))
})

it('finds nothing wrong with a server that keeps every promise', () => {
  fc.assert(
    fc.property(validHistory, (history) => {
      expect(checkHistory(history, options)).toEqual([])
    }),
    { numRuns: 300 },
  )
})

for (const fault of faults) {
  it(`reports as ${fault.isReportedAs}, and nothing else, when ${fault.what}`, () => {
    fc.assert(
      fc.property(validHistory, fc.nat(), (history, choice) => {
        const places = placesOf(fault, history)
        const inject = places[choice % places.length]
        fc.pre(inject !== undefined)
        const found = checkHistory(inject(), options)
        expect(new Set(found.map(({ kind }) => kind))).toEqual(new Set([fault.isReportedAs]))
      }),
      { numRuns: 100 },
    )
  })
}
