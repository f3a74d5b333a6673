import fc from 'fast-check'
import { expect, it } from 'vitest'
import { frameReader } from './frames.ts'
import { encodeMessage, methods } from './message.ts'

const stun = fc.uint8Array({ maxLength: 60 }).map((value) =>
  encodeMessage({
    class: 'indication',
    method: methods.send,
    transactionId: new Uint8Array(12),
    attributes: [{ type: 0x0013, value }],
  }),
)
const channelData = fc
  .tuple(fc.integer({ min: 0x4000, max: 0x4fff }), fc.uint8Array({ maxLength: 60 }))
  .map(([number, payload]) => {
    const frame = new Uint8Array(4 + payload.length + (-payload.length & 3))
    frame.set([number >> 8, number, payload.length >> 8, payload.length])
    frame.set(payload, 4)
    return frame
  })

it('cuts a stream into the same frames however it arrives', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(stun, channelData), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }),
      (frames, cuts) => {
        const stream = Buffer.concat(frames)
        const reader = frameReader()
        const read: Uint8Array[] = []
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const end = at + (cuts[turn % cuts.length] ?? 1)
          expect(reader.read(stream.subarray(at, end), (frame) => read.push(frame.slice()))).toBe(
            true,
          )
          at = end
        }
        expect(reader.waitingBytes).toBe(0)
        expect(read.map((frame) => Buffer.from(frame).toString('hex'))).toEqual(
          frames.map((frame) => Buffer.from(frame).toString('hex')),
        )
      },
    ),
  )
})

it('ends at what can be neither, and never throws', () => {
  expect(frameReader().read(Buffer.from('GET / HTTP/1.1\r\n'), () => undefined)).toBe(true)
  expect(frameReader().read(Buffer.from([0x50]), () => undefined)).toBe(false)
  // A client that speaks TLS where none is spoken.
  expect(frameReader().read(Buffer.from([0x16, 3, 1, 2]), () => undefined)).toBe(false)
  expect(frameReader().read(Buffer.from([0, 1, 0, 3]), () => undefined)).toBe(false)
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }), (chunks) => {
      const reader = frameReader()
      for (const chunk of chunks) if (!reader.read(chunk, () => undefined)) return
    }),
  )
})

it('waits for the longest frame there is, and joins it once', () => {
  const frame = Buffer.alloc(4 + 65_536)
  frame.writeUInt16BE(0x4000, 0)
  frame.writeUInt16BE(65_535, 2)
  const reader = frameReader()
  const lengths: number[] = []
  for (let at = 0; at < frame.length; at += 64) {
    reader.read(frame.subarray(at, at + 64), ({ length }) => lengths.push(length))
  }
  expect(lengths).toEqual([65_540])
})
