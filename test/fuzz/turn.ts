/**
 * Hostile packets at line rate against a relay that runs: random ones, damaged ones, and damaged ones
 * that are signed again, from hundreds of addresses, to its listener and to relay ports, and over
 * TCP. Meanwhile somebody talks through it over UDP and TCP, and must not notice.
 */
import { createHmac } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { addressNumber, openPacketSocket } from '../bench/turn/packet-socket.ts'
import { openClient, type TurnClient } from '../turn/support/client.ts'
import { openPeer, type Peer } from '../turn/support/peer.ts'
import { raisedLimits, startRelay, type Relay } from '../turn/support/relay.ts'
import { openFiles, processTree, residentKilobytes } from '../turn/support/server-child.ts'
import {
  addressFamily,
  attributes,
  channelData,
  channelNumber,
  evenPort,
  lifetime,
  methods,
  requestedTransport,
  text,
  uint32,
  writeMessage,
  xorAddress,
  type Address,
  type Attribute,
} from '../turn/support/stun.ts'

export interface TurnFuzzOutcome {
  readonly runs: number
  /** Undefined when nothing was found. */
  readonly fault: string | undefined
}

interface Random {
  /** 0 to below `bound`. */
  below(bound: number): number
  pick<T>(from: readonly T[]): T
  bytes(length: number): Buffer
}

/** Mulberry32: the same seed, the same packets. */
function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return (value ^ (value >>> 14)) >>> 0
  }
  const below = (bound: number): number => next() % bound
  return {
    below,
    pick: (from) => {
      const picked = from[below(from.length)]
      if (picked === undefined) throw new RangeError('nothing to pick from')
      return picked
    },
    bytes: (length) => Buffer.from(Array.from({ length }, () => next() & 255)),
  }
}

const interesting = [0, 1, 3, 4, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff] as const
const methodNumbers = [...Object.values(methods), 0x002, 0x00b, 0xfff]
const attributeTypes = [...Object.values(attributes), 0x0003, 0x0027, 0x7fff, 0xffff]

/** A value that such an attribute may have, or nearly. */
function randomAttribute(random: Random, id: Buffer): Attribute {
  const type = random.pick(attributeTypes)
  switch (random.below(10)) {
    case 0:
      return requestedTransport(random.pick([17, 17, 17, 6, 0]))
    case 1:
      return lifetime(random.pick([0, 1, 600, 3600, 2 ** 31, 2 ** 32 - 1]))
    case 2:
      return channelNumber(random.pick([0x4000, 0x4001, 0x4fff, 0x5000, 0x3fff, 0]))
    case 3: {
      const host = random.pick(['127.0.0.2', '127.0.0.1', '8.8.8.8', '10.0.0.1', '::1', '2a00::1'])
      return xorAddress(attributes.xorPeerAddress, { host, port: random.below(65_536) }, id)
    }
    case 4:
      return addressFamily(random.below(4))
    case 5:
      return evenPort(random.below(2) === 0)
    case 6:
      return text(
        type,
        random.pick(['', 'constructor', '__proto__', 'dummy.io', '\0', 'é'.repeat(300)]),
      )
    case 7:
      return uint32(type, random.below(2 ** 31))
    default:
      return { type, value: random.bytes(random.below(random.pick([5, 40, 600]))) }
  }
}

/** Above every limit of the relay. */
const largestPacketBytes = 2048

/** A well-formed message of any method with any attributes. */
function randomMessage(random: Random, given: readonly Attribute[], key?: Buffer): Buffer {
  const id = random.bytes(12)
  const own = Array.from({ length: random.below(5) }, () => randomAttribute(random, id))
  const trailing =
    random.below(8) === 0 ? [randomAttribute(random, id), randomAttribute(random, id)] : []
  return writeMessage(
    {
      class: random.pick(['request', 'request', 'request', 'indication', 'success', 'error']),
      method: random.pick(methodNumbers),
      transactionId: id,
      attributes: random.below(4) === 0 ? [...given, ...own] : [...own, ...given],
    },
    {
      ...(key === undefined ? {} : { key }),
      trailing,
      hasFingerprint: random.below(3) === 0,
    },
  )
}

/** Flips, cuts, repeats and overwrites. */
function damage(random: Random, bytes: Buffer): Buffer {
  let damaged = Buffer.from(bytes)
  for (let times = 1 + random.below(4); times > 0; times -= 1) {
    const at = random.below(damaged.length + 1)
    switch (random.below(6)) {
      case 0:
        if (at < damaged.length)
          damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << random.below(8)), at)
        break
      case 1:
        if (at < damaged.length) damaged.writeUInt8(random.pick(interesting), at)
        break
      case 2:
        damaged = damaged.subarray(0, at)
        break
      case 3:
        damaged = Buffer.concat([damaged, damaged.subarray(at)]).subarray(0, 1900)
        break
      case 4:
        if (damaged.length >= 4) damaged.writeUInt16BE(random.below(65_536), 2)
        break
      default:
        damaged = Buffer.concat([damaged, random.bytes(random.below(64))])
    }
  }
  return damaged
}

/** Somebody who minds their own business. */
interface Talk {
  readonly name: string
  readonly client: TurnClient
  readonly peer: Peer
}

async function openTalk(relay: Relay, kind: 'udp' | 'tcp', index: number): Promise<Talk> {
  const client = await openClient(relay, { kind, credentials: relay.credentialsFor(index) })
  const peer = await openPeer('127.0.0.3', { isEcho: true })
  await client.allocate()
  await client.bind(0x4000, peer.address)
  return { name: kind, client, peer }
}

/** UDP may lose a packet under load: ten in a row are a fault. */
async function isTalking({ client }: Talk): Promise<boolean> {
  for (let tries = 0; tries < 10; tries += 1) {
    const words = `word ${String(tries)} ${String(Math.random())}`
    client.sendThrough(0x4000, Buffer.from(words))
    for (let got = await client.next(1000); got !== undefined; got = await client.next(1000)) {
      if (got.payload.toString() === words) return true
    }
  }
  return false
}

const slots = 256
const keptPackets = 512

export async function fuzzTurn({
  seed,
  forMs,
  say,
}: {
  readonly seed: number
  readonly forMs: number
  readonly say: (text: string) => void
}): Promise<TurnFuzzOutcome> {
  await using relay = await startRelay({ limits: raisedLimits })
  const random = seededRandom(seed)
  const pids = await processTree(relay.child.pid)
  const talks = [await openTalk(relay, 'udp', 0), await openTalk(relay, 'tcp', 1)]
  // An insider with valid credentials and a live allocation, from whom the worst must be expected.
  await using insider = await openClient(relay, { credentials: relay.credentialsFor(2) })
  let target: Address = await insider.allocate()
  using strangers = openPacketSocket({ slots, slotBytes: largestPacketBytes })
  const last: string[] = []
  const note = (where: string, bytes: Buffer): Buffer => {
    last.push(`${where} ${bytes.toString('hex')}`)
    if (last.length > keptPackets) last.shift()
    return bytes
  }
  const listener = { address: addressNumber(relay.host), port: relay.port }
  let runs = 0

  const signedAttributes = (): Attribute[] => [
    text(attributes.username, relay.credentialsFor(2).username),
    text(attributes.realm, insider.realm),
    text(attributes.nonce, insider.nonce),
  ]
  function nextPacket(): Buffer {
    switch (random.below(6)) {
      case 0:
        return random.bytes(random.below(random.pick([8, 64, 1500])))
      case 1:
        return channelData(0x4000 + random.below(4), random.bytes(random.below(64)))
      case 2:
        return randomMessage(random, [])
      case 3:
        return damage(random, randomMessage(random, signedAttributes(), insider.key))
      case 4:
        return randomMessage(random, signedAttributes(), random.bytes(16))
      default:
        return damage(random, randomMessage(random, []))
    }
  }

  function burst(): void {
    for (let slot = 0; slot < slots; slot += 1) {
      const isToRelay = random.below(4) === 0
      const to = isToRelay ? { address: addressNumber(target.host), port: target.port } : listener
      const from = addressNumber('127.0.0.2') + random.below(500)
      const packet = nextPacket().subarray(0, largestPacketBytes)
      strangers.put(slot, note(isToRelay ? 'relay' : 'listener', packet), to, from)
    }
    for (let first = 0; first < slots; first += 64) runs += strangers.send(first, 64)
    while (strangers.receive() > 0);
  }

  /** Signed and from the address that the nonce is for: these pass the guard at the door. */
  function whisper(): void {
    for (let index = 0; index < 32; index += 1) {
      const message = randomMessage(random, signedAttributes(), insider.key)
      const shape = random.below(4)
      const bytes = shape === 0 ? damage(random, message) : message
      insider.send(
        note('insider', shape === 1 ? resign(damageBody(random, message), insider.key) : bytes),
      )
      runs += 1
    }
    insider.received.length = 0
  }

  const streams: Socket[] = []
  function stream(): void {
    while (streams.length < 16) {
      const socket = connect(relay.port, relay.host)
      socket.on('error', () => undefined)
      socket.resume()
      socket.on('close', () => {
        streams.splice(streams.indexOf(socket), 1)
      })
      streams.push(socket)
    }
    for (const socket of streams) {
      if (socket.writableLength > 65_536) continue
      const bytes =
        random.below(8) === 0
          ? nextPacket()
          : randomMessage(random, signedAttributes(), insider.key)
      const cut = random.below(bytes.length + 1)
      socket.write(note('stream', bytes.subarray(0, cut)))
      if (random.below(4) > 0) socket.write(bytes.subarray(cut))
      runs += 1
    }
  }

  async function findFault(before: {
    files: number
    kilobytes: number
  }): Promise<string | undefined> {
    if (relay.child.hasEnded()) return `the relay ended with ${String(await relay.child.exit)}`
    const now = await processTree(relay.child.pid)
    if (now.join() !== pids.join())
      return `a process was replaced: ${pids.join()} are ${now.join()}`
    for (const talk of talks) {
      if (!(await isTalking(talk))) return `the ${talk.name} allocation of somebody else is deaf`
    }
    const files = await openFiles(pids)
    // The streams, and the allocations that they and the insider may have.
    if (files > before.files + 128)
      return `open files grew from ${String(before.files)} to ${String(files)}`
    const grown = (await residentKilobytes(pids)) - before.kilobytes
    return grown > 192 * 1024 ? `memory grew by ${String(grown)} KB` : undefined
  }

  const startMs = performance.now()
  // The first two seconds compile code and fill tables.
  const warmMs = startMs + Math.min(2000, forMs / 4)
  let before: { files: number; kilobytes: number } | undefined
  let checkMs = warmMs
  let fault: string | undefined
  while (fault === undefined && performance.now() - startMs < forMs) {
    burst()
    whisper()
    stream()
    await sleep(0)
    if (performance.now() < checkMs) continue
    before ??= { files: await openFiles(pids), kilobytes: await residentKilobytes(pids) }
    fault = await findFault(before)
    // What was whispered may have ended the insider's allocation, and its nonce grows old.
    await insider.greet()
    target = await insider.allocate().catch(() => target)
    checkMs = performance.now() + 2000
  }
  for (const socket of streams) socket.destroy()
  await sleep(500)
  if (fault === undefined && before !== undefined) fault = await findFault(before)
  const drops = [...(await relay.metrics().catch(() => new Map<string, number>()))]
    .filter(([name]) => name.startsWith('turn_drops_total'))
    .map(([name, value]) => `${name.slice('turn_drops_total'.length)} ${String(value)}`)
  for (const { client, peer } of talks) {
    await client[Symbol.asyncDispose]()
    await peer[Symbol.asyncDispose]()
  }
  if (before !== undefined) {
    const grown = (await residentKilobytes(pids)) - before.kilobytes
    say(`turn: memory ${grown >= 0 ? '+' : ''}${String(grown)} KB; dropped: ${drops.join(', ')}`)
  }
  if (fault !== undefined) {
    const folder = join(import.meta.dirname, '../../test-results')
    await mkdir(folder, { recursive: true })
    const file = join(folder, `fuzz-turn-${String(seed)}.txt`)
    await writeFile(file, `${last.join('\n')}\n\n${relay.child.output()}`)
    say(`turn: the last ${String(last.length)} packets and the relay's output are in ${file}`)
  }
  return { runs, fault }
}

/** Damages what lies between header and integrity, keeping the message whole enough to be signed. */
function damageBody(random: Random, message: Buffer): Buffer {
  const damaged = Buffer.from(message)
  for (let times = 1 + random.below(3); times > 0; times -= 1) {
    const at = 20 + random.below(Math.max(1, damaged.length - 20))
    if (at < damaged.length) damaged.writeUInt8(random.pick(interesting), at)
  }
  return damaged
}

/** Puts a right MESSAGE-INTEGRITY where the old one was, so that damage before it is believed. */
function resign(message: Buffer, key: Buffer): Buffer {
  const signed = Buffer.from(message)
  for (let at = 20; at + 24 <= signed.length; at += 4) {
    if (signed.readUInt32BE(at) !== 0x00080014) continue
    const whole = signed.readUInt16BE(2)
    signed.writeUInt16BE(at + 24 - 20, 2)
    createHmac('sha1', key)
      .update(signed.subarray(0, at))
      .digest()
      .copy(signed, at + 4)
    signed.writeUInt16BE(whole, 2)
    return signed
  }
  return signed
}
