import type { Clock } from '../clock.ts'
import { countOne, type Counters, type DropReason } from '../counters.ts'
import type { Network } from '../policy/network.ts'
import { nonce as nonceAttribute } from '../wire/attributes.ts'
import { emptyGlance, glance } from '../wire/glance.ts'
import { readWord, writeWord, type Endpoint, type Ip } from '../wire/ip.ts'
import {
  headerBytes,
  magicCookie,
  messageType,
  methods,
  methodOfType,
  nameOfMethod,
  protection,
  setUint16,
} from '../wire/message.ts'
import { fingerprintOf, sealMessage } from '../wire/protection.ts'
import type { Authenticator } from './authentication.ts'
import type { RefusalLimit } from './refusal-limit.ts'

/**
 * Datagrams from where no allocation is. Anybody can send them from any address, as many as the
 * network carries, so they are answered or dropped from a glance: without an object for each, and
 * most without a hash. Only what may come from a user is read.
 */
export interface Strangers {
  /**
   * Deals with bytes that begin like STUN: -1 when they were dropped, 0 when they are to be read, else
   * so many bytes of `reply` are the answer. Counts, unless they are to be read.
   */
  meet(bytes: Uint8Array, at: number, length: number, source: Ip, port: number): number
  /** Overwritten by the next answer. */
  readonly reply: Uint8Array
  /** Whether one more refusal may be sent to that address in this second; takes it if so. */
  takeRefusal(source: Ip): boolean
}

export interface StrangersDeps {
  readonly counters: Counters
  readonly clock: Clock
  /** Replaced on reload; realm and algorithms stay. */
  readonly current: {
    readonly authenticator: Authenticator
    readonly refusals: RefusalLimit
    readonly unlimitedRefusals: readonly Network[]
  }
  readonly perSecondInAll: () => number
  readonly secureStun: boolean
}

/** Refusals that all together get at once, even where a tenth of a second's are fewer. */
const atOnce = 50
/** Room for the longest: a refusal with a realm of 763 bytes. */
const replyBytes = 1024
const bindingRequest = messageType('request', methods.binding)
const bindingSuccess = messageType('success', methods.binding)
const bindingIndication = messageType('indication', methods.binding)
const sendIndication = messageType('indication', methods.send)
/** The bits of a type that are its class: requests have neither, errors both. */
const classBits = 0x0110
const families = { 4: 1, 6: 2 } as const
const nobody = { ip: { family: 4, a: 0, b: 0, c: 0, d: 0 }, port: 0 } as const

/** A refusal but for the transaction id and the nonce. */
interface Prepared {
  readonly bytes: Uint8Array
  /** Where the nonce goes; -1 for none. */
  readonly nonceAt: number
}

export function strangers(deps: StrangersDeps): Strangers {
  const { counters, clock, current } = deps
  const seen = emptyGlance()
  const reply = new Uint8Array(replyBytes)
  const replyBuffer = Buffer.from(reply.buffer)
  const prepared = { 400: prepare(400), 401: prepare(401), 438: prepare(438) }
  /** How many refusals are left for all at that moment. */
  let left = 0
  let leftAtMs = Number.NEGATIVE_INFINITY

  function prepare(code: 400 | 401 | 438): Prepared {
    const transactionId = new Uint8Array(12)
    const attributes = current.authenticator
      .refusal(code, nobody)
      .attributes.map((write) => write(transactionId))
    const bytes = sealMessage({ class: 'error', method: 0, transactionId, attributes }, {})
    let at = headerBytes
    for (const { type, value } of attributes) {
      if (type === nonceAttribute.type) return { bytes, nonceAt: at + 4 }
      at += 4 + value.length + (-value.length & 3)
    }
    return { bytes, nonceAt: -1 }
  }

  function drop(reason: DropReason): number {
    counters.drops[reason] += 1
    return -1
  }

  function isUnlimited(source: Ip): boolean {
    const { unlimitedRefusals } = current
    for (let i = 0; i < unlimitedRefusals.length; i += 1) {
      if (unlimitedRefusals[i]?.contains(source) === true) return true
    }
    return false
  }

  function hasRefusal(source: Ip): boolean {
    const nowMs = clock.monotonicMs()
    if (nowMs !== leftAtMs) {
      const perSecond = deps.perSecondInAll()
      // Little at once: the answers of a whole second would hold up the calls behind them.
      const most = Math.min(perSecond, Math.max(atOnce, perSecond / 10))
      left = Math.min(most, left + ((nowMs - leftAtMs) / 1000) * perSecond)
      leftAtMs = nowMs
    }
    if (left >= 1 && current.refusals.has(source, clock.monotonicSeconds())) return true
    return isUnlimited(source)
  }

  function takeRefusal(source: Ip): boolean {
    if (!hasRefusal(source)) return false
    if (isUnlimited(source)) return true
    left -= 1
    current.refusals.take(source, clock.monotonicSeconds())
    return true
  }

  function isFingerprintRight(bytes: Uint8Array, at: number): boolean {
    const { fingerprintAt } = seen
    if (fingerprintAt < 0) return true
    return fingerprintOf(bytes.subarray(at, fingerprintAt)) === readWord(bytes, fingerprintAt + 4)
  }

  /** What is in `reply` up to there, with a fingerprint if the request has one. */
  function finish(type: number, bytes: Uint8Array, at: number, end: number): number {
    setUint16(reply, 0, type)
    writeWord(reply, 4, magicCookie)
    for (let i = 8; i < headerBytes; i += 1) reply[i] = bytes[at + i] ?? 0
    let whole = end
    if (seen.fingerprintAt >= 0) {
      whole = end + 8
      setUint16(reply, 2, whole - headerBytes)
      setUint16(reply, end, protection.fingerprint)
      setUint16(reply, end + 2, 4)
      writeWord(reply, end + 4, fingerprintOf(replyBuffer.subarray(0, end)))
    } else {
      setUint16(reply, 2, whole - headerBytes)
    }
    counters.packetsToClients += 1
    counters.bytesToClients += whole
    return whole
  }

  /** A Binding without attributes, which nearly all are (RFC 8489 §6.3.1). */
  function bind(bytes: Uint8Array, at: number, { family, a, b, c, d }: Ip, port: number): number {
    const size = family === 4 ? 8 : 20
    setUint16(reply, headerBytes, 0x0020)
    setUint16(reply, headerBytes + 2, size)
    setUint16(reply, headerBytes + 4, families[family])
    setUint16(reply, headerBytes + 6, port ^ (magicCookie >>> 16))
    const address = headerBytes + 8
    if (family === 4) writeWord(reply, address, d ^ magicCookie)
    else {
      writeWord(reply, address, a ^ magicCookie)
      writeWord(reply, address + 4, b)
      writeWord(reply, address + 8, c)
      writeWord(reply, address + 12, d)
      for (let i = 4; i < 16; i += 1) {
        reply[address + i] = (reply[address + i] ?? 0) ^ (bytes[at + 4 + i] ?? 0)
      }
    }
    countOne(counters.requests, 'binding 0')
    return finish(bindingSuccess, bytes, at, headerBytes + 4 + size)
  }

  function refuse(code: 400 | 401 | 438, bytes: Uint8Array, at: number, client: Endpoint): number {
    const { bytes: template, nonceAt } = prepared[code]
    reply.set(template)
    if (nonceAt >= 0) replyBuffer.write(current.authenticator.nonceFor(client), nonceAt, 'latin1')
    countOne(counters.requests, `${nameOfMethod(methodOfType(seen.type))} ${String(code)}`)
    return finish(seen.type | classBits, bytes, at, template.length)
  }

  /** What a request that is to be refused gets. */
  function refuseIfAnyLeft(
    code: 400 | 401 | 438,
    bytes: Uint8Array,
    at: number,
    source: Ip,
    port: number,
  ): number {
    if (!hasRefusal(source)) return drop('refusal-limit')
    if (!isFingerprintRight(bytes, at)) return drop('fingerprint')
    takeRefusal(source)
    return refuse(code, bytes, at, { ip: source, port })
  }

  /** Whether a request whose nonce may be ours has to be read. */
  function mayBeUser(bytes: Uint8Array, source: Ip, port: number): boolean {
    const { authenticator } = current
    if (!authenticator.mayGuess(source)) return false
    // While refusals are left, reading it ends in an answer; without, a false nonce ends here.
    return hasRefusal(source) || authenticator.provesNonce(bytes, seen, { ip: source, port })
  }

  function count(length: number): void {
    counters.packetsFromClients += 1
    counters.bytesFromClients += length
  }

  return {
    reply,
    takeRefusal,
    meet(bytes, at, length, source, port) {
      const outcome = glance(bytes, at, length, seen)
      if (outcome !== 'message') {
        count(length)
        return drop(outcome)
      }
      const { type } = seen
      if ((type & classBits) !== 0) {
        count(length)
        if (type === sendIndication) return drop('no-allocation')
        // A Binding indication keeps a way through NAT open and asks for nothing.
        return type === bindingIndication ? -1 : drop('wrong-class')
      }
      if (type === bindingRequest && !deps.secureStun) {
        if (length > headerBytes) return 0
        count(length)
        return bind(bytes, at, source, port)
      }
      const code = current.authenticator.refusesAtSight(bytes, seen)
      if (code === undefined && mayBeUser(bytes, source, port)) return 0
      count(length)
      if (code === undefined) return drop('refusal-limit')
      return refuseIfAnyLeft(code, bytes, at, source, port)
    },
  }
}
