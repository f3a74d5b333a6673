import type { EventPayload } from '../../../contract/gundeck/internal.ts'
import { formatTimestamp } from '../../../contract/ids.ts'
import type { ClientId } from '../../../contract/ids.ts'

/**
 * The JSON text of an array of events, all ASCII, in which each event's time is still open: its
 * 24 characters stand at `timeSlots` and differ from inbox to inbox.
 */
export interface PayloadTemplate {
  readonly text: string
  readonly timeSlots: readonly number[]
}

const openTime = formatTimestamp(0)
const beyondAscii = /[\u0080-\uffff]/
const everyBeyondAscii = /[\u0080-\uffff]/g

/** Everything beyond ASCII is `\uXXXX`: browsers read frames byte by byte as Latin-1. */
export function asciiJson(value: unknown): string {
  const text = JSON.stringify(value)
  if (!beyondAscii.test(text)) return text
  return text.replace(
    everyBeyondAscii,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** @param hasTime Whether the owner of the inbox writes `time` into the events. */
export function payloadTemplate(
  events: readonly EventPayload[],
  hasTime: boolean,
): PayloadTemplate {
  const timeSlots: number[] = []
  let text = '['
  for (const event of events) {
    if (text.length > 1) text += ','
    const json = asciiJson(event)
    if (hasTime && event['time'] === undefined) {
      text += '{"time":"'
      timeSlots.push(text.length)
      text += `${openTime}"${json === '{}' ? '}' : `,${json.slice(1)}`}`
    } else {
      text += json
    }
  }
  return { text: `${text}]`, timeSlots }
}

/** The text of a time so many milliseconds after the first. */
export type TimeTexts = (laterMs: number) => string

/** Each text is made once: all devices of a user are told the same times. */
export function timesFrom(firstMs: number): TimeTexts {
  const texts: string[] = []
  return (laterMs) => (texts[laterMs] ??= formatTimestamp(firstMs + laterMs))
}

/**
 * The payload with its times. Each event is a millisecond later than the one before it: the web
 * client drops an event that is not later than the last one it handled.
 */
export function fillTimes({ text, timeSlots }: PayloadTemplate, times: TimeTexts): string {
  let filled = ''
  let from = 0
  for (const [index, slot] of timeSlots.entries()) {
    filled += text.slice(from, slot) + times(index)
    from = slot + openTime.length
  }
  return filled + text.slice(from)
}

/** What some of a user's clients see of a notification. */
export interface ClientDelivery {
  /** All clients when absent. */
  readonly clients: readonly ClientId[] | undefined
  readonly payload: string
}

/**
 * What one client sees of a notification: the events of every delivery that names it, or all
 * clients, or everything for a reader without a client. Undefined when nothing is for it.
 */
export function visiblePayload(
  deliveries: readonly ClientDelivery[],
  client: ClientId | undefined,
): string | undefined {
  let seen: string | undefined
  for (const { clients, payload } of deliveries) {
    if (client !== undefined && clients !== undefined && !clients.includes(client)) continue
    seen = seen === undefined ? payload : `${seen.slice(0, -1)},${payload.slice(1)}`
  }
  return seen
}

/** A delivery as the store has it: its own text, or the name of a text that many inboxes share. */
export type StoredDelivery =
  | { readonly clients: readonly ClientId[] | undefined; readonly payload: string }
  | { readonly clients: readonly ClientId[] | undefined; readonly sharedPayload: string }

/**
 * One text for a row: a line of JSON that says whose each part is, then the parts as they are,
 * because JSON in JSON would escape every quote.
 */
export function encodeDeliveries(deliveries: readonly StoredDelivery[]): string {
  let parts = ''
  const heads: [readonly ClientId[] | 0, number | string][] = []
  for (const delivery of deliveries) {
    if ('payload' in delivery) {
      heads.push([delivery.clients ?? 0, delivery.payload.length])
      parts += delivery.payload
    } else {
      heads.push([delivery.clients ?? 0, delivery.sharedPayload])
    }
  }
  return `${JSON.stringify(heads)}\n${parts}`
}

export function decodeDeliveries(text: string): StoredDelivery[] {
  let at = text.indexOf('\n') + 1
  const heads = JSON.parse(text.slice(0, at)) as [ClientId[] | 0, number | string][]
  return heads.map(([named, part]) => {
    const clients = named === 0 ? undefined : named
    if (typeof part === 'string') return { clients, sharedPayload: part }
    const payload = text.slice(at, at + part)
    at += part
    return { clients, payload }
  })
}

/** A template as a text of its own, for payloads that are stored once for many inboxes. */
export const encodeTemplate = ({ text, timeSlots }: PayloadTemplate): string =>
  `${JSON.stringify(timeSlots)}\n${text}`

export function decodeTemplate(encoded: string): PayloadTemplate {
  const end = encoded.indexOf('\n') + 1
  return {
    text: encoded.slice(end),
    timeSlots: JSON.parse(encoded.slice(0, end)) as number[],
  }
}
