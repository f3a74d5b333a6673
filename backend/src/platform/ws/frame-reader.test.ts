import { Readable } from 'node:stream'
import fc from 'fast-check'
import * as ws from 'ws'
import { describe, expect, it } from 'vitest'
import { readFrames } from './frame-reader.ts'
import type { ClientFrame, Unfinished } from './frame-reader.ts'

const limitBytes = 1000

interface RawFrame {
  first: number
  isMasked: boolean
  payload: Uint8Array
  /** How the length is spelled: in 7, 16 or 64 bits, whether or not it needs them. */
  lengthBits: 7 | 16 | 64
}

function bytesOf({ first, isMasked, payload, lengthBits }: RawFrame): Buffer {
  const mask = Buffer.from([0x11, 0x22, 0x33, 0x44])
  const flag = isMasked ? 0x80 : 0
  let head: Buffer
  if (lengthBits === 7 && payload.length < 126) {
    head = Buffer.from([first, flag | payload.length])
  } else if (lengthBits !== 64 && payload.length < 0x1_0000) {
    head = Buffer.from([first, flag | 126, payload.length >> 8, payload.length & 0xff])
  } else {
    head = Buffer.alloc(10)
    head[0] = first
    head[1] = flag | 127
    head.writeBigUInt64BE(BigInt(payload.length), 2)
  }
  if (!isMasked) return Buffer.concat([head, payload])
  const masked = payload.map((byte, index) => byte ^ (mask[index & 3] ?? 0))
  return Buffer.concat([head, mask, masked])
}

/** A frame as a client that keeps the rules sends it. */
const frame = (first: number, payload: string | Uint8Array = ''): Buffer =>
  bytesOf({ first, isMasked: true, payload: Buffer.from(payload), lengthBits: 7 })

/** What the frames mean, as short texts; the same for both readers. */
function readAll(chunks: readonly Buffer[]): string[] {
  const found: string[] = []
  const taker = {
    takeFrame(frame: ClientFrame): void {
      if (found.at(-1)?.startsWith('end') === true) return
      if (frame.kind === 'message') {
        found.push(`${frame.isText ? 'text' : 'binary'} ${frame.bytes.toString('hex')}`)
      } else if (frame.kind === 'ping') found.push(`ping ${frame.bytes.toString('hex')}`)
      else if (frame.kind === 'pong') found.push('pong')
      else found.push(`end ${String(frame.code)}`)
    },
  }
  let unfinished: Unfinished | undefined
  for (const chunk of chunks) {
    if (found.at(-1)?.startsWith('end') === true) break
    unfinished = readFrames(Buffer.from(chunk), unfinished, limitBytes, taker)
  }
  return found
}

async function readAllWithWs(chunks: readonly Buffer[]): Promise<string[]> {
  const found: string[] = []
  // Exported, but not declared by its types.
  const { Receiver } = ws as unknown as {
    Receiver: new (options: object) => NodeJS.WritableStream
  }
  const receiver = new Receiver({
    isServer: true,
    maxPayload: limitBytes,
    binaryType: 'nodebuffer',
    allowSynchronousEvents: true,
  })
  receiver.on('message', (data: Buffer, isBinary: boolean) => {
    found.push(`${isBinary ? 'binary' : 'text'} ${data.toString('hex')}`)
  })
  receiver.on('ping', (data: Buffer) => found.push(`ping ${data.toString('hex')}`))
  receiver.on('pong', () => found.push('pong'))
  receiver.on('conclude', (code: number) => found.push(`end ${String(code)}`))
  const { promise: failed, resolve: fail } = Promise.withResolvers<void>()
  receiver.on('error', (error: object) => {
    const symbol = Object.getOwnPropertySymbols(error).find(
      ({ description }) => description === 'status-code',
    )
    // Bytes behind a close frame are nobody's business.
    if (symbol !== undefined) found.push(`end ${String(Reflect.get(error, symbol))}`)
    fail()
  })
  const piped = new Promise<void>((resolve) => {
    receiver.on('finish', resolve)
    Readable.from(chunks.map((chunk) => Buffer.from(chunk))).pipe(receiver)
  })
  await Promise.race([piped, failed])
  return found
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
}

describe('reading frames', () => {
  it('finds a message however its bytes are cut', () => {
    const bytes = Buffer.concat([frame(0x81, 'ping'), frame(0x82, Buffer.alloc(300, 7))])
    const whole = readAll([bytes])
    expect(whole).toEqual([
      `text ${Buffer.from('ping').toString('hex')}`,
      `binary ${'07'.repeat(300)}`,
    ])
    for (let at = 0; at <= bytes.length; at += 1) {
      expect(readAll([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole)
    }
    expect(readAll(Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(whole)
  })

  it('joins fragments and takes pings between them', () => {
    const bytes = [frame(0x01, 'he'), frame(0x89, 'x'), frame(0x00, 'll'), frame(0x80, 'o')]
    expect(readAll(bytes)).toEqual(['ping 78', `text ${Buffer.from('hello').toString('hex')}`])
  })

  it.each([
    [
      'an unmasked frame',
      [bytesOf({ first: 0x81, isMasked: false, payload: Buffer.from('a'), lengthBits: 7 })],
      1002,
    ],
    ['reserved bits', [frame(0xc1, 'a')], 1002],
    ['an unknown opcode', [frame(0x83, 'a')], 1002],
    ['a continuation of nothing', [frame(0x80, 'a')], 1002],
    ['a message within another', [frame(0x01, 'a'), frame(0x81, 'b')], 1002],
    ['a fragmented ping', [frame(0x09, 'a')], 1002],
    ['a long ping', [frame(0x89, Buffer.alloc(126))], 1002],
    ['a large message', [frame(0x82, Buffer.alloc(limitBytes + 1))], 1009],
    ['large fragments', [frame(0x02, Buffer.alloc(900)), frame(0x80, Buffer.alloc(101))], 1009],
    ['text that is not UTF-8', [frame(0x81, Buffer.from([0xff]))], 1007],
    ['a cut close code', [frame(0x88, Buffer.from([3]))], 1002],
    ['a close code that must not be sent', [frame(0x88, Buffer.from([0x03, 0xee]))], 1002],
  ])('fails on %s', (_, chunks, code) => {
    expect(readAll(chunks)).toEqual([`end ${String(code)}`])
  })

  it('keeps nothing between whole frames', () => {
    const ignore = { takeFrame: () => undefined }
    expect(readFrames(frame(0x81, 'ping'), undefined, limitBytes, ignore)).toBeUndefined()
  })

  it('holds no more than a message and a frame, whatever the pieces', () => {
    let unfinished: Unfinished | undefined
    const ignore = { takeFrame: () => undefined }
    unfinished = readFrames(frame(0x02), undefined, limitBytes, ignore)
    for (let count = 0; count < 10_000; count += 1) {
      unfinished = readFrames(frame(0x00), unfinished, limitBytes, ignore)
    }
    for (let count = 0; count < limitBytes; count += 1) {
      unfinished = readFrames(frame(0x00, 'a'), unfinished, limitBytes, ignore)
    }
    expect(unfinished?.fragments?.bytes.length).toBeLessThanOrEqual(2 * limitBytes)
  })

  it('reads any bytes as `ws` does', async () => {
    const rawFrame = fc.record({
      first: fc.oneof(
        fc.constantFrom(0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8a),
        fc.nat(255),
      ),
      isMasked: fc.oneof({ weight: 30, arbitrary: fc.constant(true) }, fc.constant(false)),
      payload: fc.oneof(
        fc.string({ maxLength: 40 }).map((text) => new Uint8Array(Buffer.from(text))),
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom(new Uint8Array(500), new Uint8Array(1001), Uint8Array.of(0x03, 0xe8)),
      ),
      lengthBits: fc.constantFrom(7 as const, 16 as const, 64 as const),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(rawFrame, { maxLength: 8 }),
        fc.array(fc.nat(2000), { maxLength: 6 }),
        async (frames, places) => {
          const bytes = Buffer.concat(frames.map((raw) => bytesOf(raw)))
          const chunks = cut(bytes, places)
          expect(readAll(chunks)).toEqual(await readAllWithWs(chunks))
        },
      ),
      { numRuns: 400 },
    )
  })
})
