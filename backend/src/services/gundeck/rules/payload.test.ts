import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ClientId } from '../../../contract/ids.ts'
import {
  asciiJson,
  decodeDeliveries,
  decodeTemplate,
  encodeDeliveries,
  encodeTemplate,
  fillTimes,
  timesFrom,
  payloadTemplate,
  visiblePayload,
} from './payload.ts'
import type { StoredDelivery } from './payload.ts'

const ascii = /^[\0-\x7f]*$/
const anyEvent = fc.dictionary(
  fc.string({ unit: 'binary' }).filter((key) => key !== 'time' && key !== '__proto__'),
  fc.jsonValue(),
)
const anyClient = fc.stringMatching(/^[0-9a-f]{1,16}$/).map((text) => text as ClientId)

describe('payload text', () => {
  it('is ASCII and means the same, whatever is in it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const text = asciiJson(value)
        expect(text).toMatch(ascii)
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('escapes characters beyond the basic plane as two units', () => {
    expect(asciiJson({ text: 'ü🙂' })).toBe('{"text":"\\u00fc\\ud83d\\ude42"}')
  })

  it('takes the time of each inbox, a millisecond apart for each event', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { minLength: 1 }), fc.nat(4e12), (events, timeMs) => {
        const template = payloadTemplate(events, true)
        const filled = JSON.parse(fillTimes(template, timesFrom(timeMs))) as Record<
          string,
          unknown
        >[]
        const expected = events.map((event, index) => ({
          ...(JSON.parse(JSON.stringify(event)) as object),
          time: new Date(timeMs + index).toISOString(),
        }))
        expect(filled).toEqual(expected)
        expect(decodeTemplate(encodeTemplate(template))).toEqual(template)
      }),
    )
  })

  it('keeps a time that an event brings along', () => {
    const event = { type: 'x', time: '2020-01-01T00:00:00.000Z' }
    const template = payloadTemplate([event, {}], true)
    expect(JSON.parse(fillTimes(template, timesFrom(5)))).toEqual([
      event,
      { time: '1970-01-01T00:00:00.005Z' },
    ])
  })

  it('has no time where none was asked for', () => {
    const template = payloadTemplate([{ type: 'user.update' }], false)
    expect(fillTimes(template, timesFrom(5))).toBe('[{"type":"user.update"}]')
  })
})

describe('deliveries of a row', () => {
  it('come back from the store as they were', () => {
    const anyDelivery: fc.Arbitrary<StoredDelivery> = fc.oneof(
      fc.record({
        clients: fc.option(fc.array(anyClient), { nil: undefined }),
        payload: fc.array(anyEvent).map((events) => asciiJson(events)),
      }),
      fc.record({
        clients: fc.option(fc.array(anyClient), { nil: undefined }),
        sharedPayload: fc.uuid(),
      }),
    )
    fc.assert(
      fc.property(fc.array(anyDelivery), (deliveries) => {
        expect(decodeDeliveries(encodeDeliveries(deliveries))).toEqual(deliveries)
      }),
    )
  })

  const phone = 'a1' as ClientId
  const laptop = 'b2' as ClientId
  const deliveries = [
    { clients: undefined, payload: '[{"n":1}]' },
    { clients: [phone], payload: '[{"n":2},{"n":3}]' },
    { clients: [laptop], payload: '[{"n":4}]' },
  ]

  it('show a client what names it or everybody', () => {
    expect(visiblePayload(deliveries, phone)).toBe('[{"n":1},{"n":2},{"n":3}]')
    expect(visiblePayload(deliveries, laptop)).toBe('[{"n":1},{"n":4}]')
    expect(visiblePayload(deliveries, 'c3' as ClientId)).toBe('[{"n":1}]')
  })

  it('show everything to a reader without a client', () => {
    expect(visiblePayload(deliveries, undefined)).toBe('[{"n":1},{"n":2},{"n":3},{"n":4}]')
  })

  it('show nothing that is for others', () => {
    expect(visiblePayload(deliveries.slice(1), 'c3' as ClientId)).toBeUndefined()
  })
})
