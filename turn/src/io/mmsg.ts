import type { Allocation, ClientPath, RelaySocket } from '../allocation/allocation.ts'
import type { Clock } from '../clock.ts'
import type { RelaySockets } from '../handlers/request.ts'
import type { RelayServer } from '../server.ts'
import { channelHeaderBytes, channelPayloadBytes } from '../wire/channel-data.ts'
import { dataHeaderBytes, dataHeaders } from '../wire/data-indication.ts'
import { ipv4, ipv6, readWord, writeWord, type Endpoint, type Ip } from '../wire/ip.ts'
import { setUint16, uint16 } from '../wire/message.ts'
import {
  emptySendIndication,
  readSendIndication,
  sendIndicationType,
} from '../wire/send-indication.ts'
import { socketAddress, type Libc } from './libc.ts'

/**
 * Datagrams in batches: `recvmmsg`, `sendmmsg` and `epoll_wait` of Linux on memory that is laid out
 * once. The only file with addresses in it: each is the base of the arena and an offset that this
 * file computed; each length is one the kernel gave. Nothing is allocated for a relayed packet.
 */
export interface MmsgIo {
  readonly sockets: RelaySockets
  readonly clock: Clock
  /** Serves the clients of a bound socket, under the number of the listener. */
  listen(fd: number, endpoint: Endpoint, listener: number): void
  /**
   * Receives and sends until `stop`. Blocks at most a second at a time; the event loop runs in
   * between, and at once when `wakeFd` is signalled.
   */
  run(wakeFd: number | undefined): void
  stop(): void
  /** The longest time that one round took since it was last asked, in ms. */
  takeLagMs(): number
}

const slotBytes = 2048
/** In front of each payload, for the header that it gets. */
const headroomBytes = 64
/** Behind the longest payload there is room for padding. */
const payloadBytes = slotBytes - headroomBytes - 4
const slotCount = 256
/** Messages of one system call. */
const batch = 64
/** How often a listener that is full is read before what came is sent on. */
const listenerBatches = 3
const maxEvents = 256

/** Offsets within `struct mmsghdr`, `struct iovec`; the same on x86-64 and arm64. */
const headerSize = 64
const nameAt = 0
const nameLengthAt = 8
const vectorAt = 16
const vectorCountAt = 24
const flagsAt = 48
const lengthAt = 56
const vectorSize = 16
const vectorLengthAt = 8
const addressSize = 32
/** `struct epoll_event` is packed on x86-64 alone. */
const eventSize = process.arch === 'x64' ? 12 : 16
const eventDataAt = process.arch === 'x64' ? 4 : 8

const afInet = 2
const afInet6 = 10
const msgTruncated = 0x20
const msgDontWait = 0x40
const epollIn = 1
const epollAdd = 1
const eintr = 4
const eagain = 11

const relayReceiveBytes = 256 * 1024
/** How long rounds may follow one another before the event loop runs. */
const maxRoundsMs = 20

/** How long the event loop waits at most when it has something to tell. */
const newsMs = 50

const kindListener = 1
const kindRelay = 2
const kindWake = 3

interface Listener {
  readonly fd: number
  readonly endpoint: Endpoint
  readonly number: number
}

/** Way to a client that keeps its address ready for the kernel. */
interface MmsgPath extends ClientPath {
  readonly fd: number
}

/** `server` is asked for late, because it needs the sockets first. Throws without memory for it. */
export function mmsgIo(libc: Libc, server: () => RelayServer): MmsgIo {
  const { library } = libc
  const bind = (definition: string): ((...args: (number | Uint8Array)[]) => number) =>
    library.func(definition) as (...args: (number | Uint8Array)[]) => number
  const receiveMany = bind('int recvmmsg(int, uintptr_t, uint32, int, uintptr_t)')
  const sendMany = bind('int sendmmsg(int, uintptr_t, uint32, int)')
  const sendTo = bind('long sendto(int, const void *, size_t, int, const void *, uint32)')
  const epollCreate = bind('int epoll_create1(int)')
  const epollControl = bind('int epoll_ctl(int, int, int, const void *)')
  const epollWait = bind('int epoll_wait(int, uintptr_t, int, int)')

  const slotsAt = 0
  const rxHeadersAt = slotsAt + slotCount * slotBytes
  const txHeadersAt = rxHeadersAt + slotCount * headerSize
  const rxVectorsAt = txHeadersAt + slotCount * headerSize
  const txVectorsAt = rxVectorsAt + slotCount * vectorSize
  const rxAddressesAt = txVectorsAt + slotCount * vectorSize
  const txAddressesAt = rxAddressesAt + slotCount * addressSize
  const eventsAt = txAddressesAt + slotCount * addressSize
  const arenaBytes = eventsAt + maxEvents * 16
  const { bytes, words, base } = openArena(libc, arenaBytes)
  const baseLow = (base % 2 ** 32) | 0
  const baseHigh = Math.floor(base / 2 ** 32)

  function writePointer(at: number, to: number): void {
    // The arena does not cross a multiple of 2^32, so the upper half is the same everywhere.
    words[at >> 2] = (baseLow + to) | 0
    words[(at >> 2) + 1] = baseHigh
  }
  for (let i = 0; i < slotCount; i += 1) {
    const rx = rxHeadersAt + i * headerSize
    writePointer(rx + nameAt, rxAddressesAt + i * addressSize)
    words[(rx + nameLengthAt) >> 2] = addressSize
    writePointer(rx + vectorAt, rxVectorsAt + i * vectorSize)
    words[(rx + vectorCountAt) >> 2] = 1
    writePointer(rxVectorsAt + i * vectorSize, slotsAt + i * slotBytes + headroomBytes)
    words[(rxVectorsAt + i * vectorSize + vectorLengthAt) >> 2] = payloadBytes
    const tx = txHeadersAt + i * headerSize
    writePointer(tx + vectorAt, txVectorsAt + i * vectorSize)
    words[(tx + vectorCountAt) >> 2] = 1
    // The upper half of each pointer and length stays.
    writePointer(txVectorsAt + i * vectorSize, slotsAt)
    writePointer(tx + nameAt, txAddressesAt)
  }

  // What waits to be sent: indexed by place in the queue.
  const queuedFd = new Int32Array(slotCount)
  const queuedAt = new Int32Array(slotCount)
  const queuedBytes = new Int32Array(slotCount)
  const queuedNext = new Int32Array(slotCount)
  const touched = new Int32Array(slotCount)
  let queued = 0
  /** The first slot that nothing lies in. */
  let freeSlot = 0

  // What is known of each descriptor.
  let kinds = new Uint8Array(1024)
  let firstOf = new Int32Array(1024).fill(-1)
  let lastOf = new Int32Array(1024).fill(-1)
  const owners: (Allocation | undefined)[] = []
  const listeners: (Listener | undefined)[] = []

  const indication = emptySendIndication()
  /** Who a packet came from when it belongs to no allocation; the same object for all. */
  const stranger: { -readonly [word in keyof Ip]: Ip[word] } = { ...ipv4(0) }
  const headers = dataHeaders()
  const epoll = epollCreate(0o2000000)

  let nowMs = Math.floor(performance.now())
  let nowSeconds = Math.floor(nowMs / 1000)
  const clock: Clock = {
    monotonicMs: () => nowMs,
    monotonicSeconds: () => nowSeconds,
    unixSeconds: () => Math.floor(Date.now() / 1000),
  }

  function watch(fd: number, kind: number): void {
    if (fd >= kinds.length) {
      const grown = Math.max(fd + 1, kinds.length * 2)
      const [oldKinds, oldFirst, oldLast] = [kinds, firstOf, lastOf]
      kinds = new Uint8Array(grown)
      kinds.set(oldKinds)
      firstOf = new Int32Array(grown).fill(-1)
      firstOf.set(oldFirst)
      lastOf = new Int32Array(grown).fill(-1)
      lastOf.set(oldLast)
    }
    kinds[fd] = kind
    const event = new Int32Array(4)
    event[0] = epollIn
    event[eventDataAt >> 2] = fd
    epollControl(epoll, epollAdd, fd, new Uint8Array(event.buffer))
  }

  // Sending.

  /** `target` in the layout of the kernel, at the place of the next in the queue. */
  function enqueue(fd: number, at: number, length: number, target: Ip, port: number): void {
    const address = txAddressesAt + queued * addressSize
    if (target.family === 4) {
      words[address >> 2] = afInet
      setUint16(bytes, address + 2, port)
      writeWord(bytes, address + 4, target.d)
    } else {
      words[address >> 2] = afInet6
      setUint16(bytes, address + 2, port)
      words[(address + 4) >> 2] = 0
      writeWord(bytes, address + 8, target.a)
      writeWord(bytes, address + 12, target.b)
      writeWord(bytes, address + 16, target.c)
      writeWord(bytes, address + 20, target.d)
      words[(address + 24) >> 2] = 0
    }
    queuedFd[queued] = fd
    queuedAt[queued] = at
    queuedBytes[queued] = length
    queued += 1
  }

  /** Sends what waits: one call for each socket, each in the order it came. */
  function flush(): void {
    if (queued === 0) return
    let touchedCount = 0
    for (let place = 0; place < queued; place += 1) {
      const fd = queuedFd[place] ?? 0
      queuedNext[place] = -1
      const last = lastOf[fd] ?? -1
      if (last === -1) {
        firstOf[fd] = place
        touched[touchedCount] = fd
        touchedCount += 1
      } else {
        queuedNext[last] = place
      }
      lastOf[fd] = place
    }
    let header = 0
    for (let i = 0; i < touchedCount; i += 1) {
      const fd = touched[i] ?? 0
      const start = header
      let place = firstOf[fd] ?? -1
      firstOf[fd] = -1
      lastOf[fd] = -1
      while (place !== -1) {
        const at = txHeadersAt + header * headerSize
        const vector = txVectorsAt + header * vectorSize
        const address = txAddressesAt + place * addressSize
        words[at >> 2] = (baseLow + address) | 0
        words[(at + nameLengthAt) >> 2] = bytes[address] === afInet ? 16 : 28
        words[vector >> 2] = (baseLow + (queuedAt[place] ?? 0)) | 0
        words[(vector + vectorLengthAt) >> 2] = queuedBytes[place] ?? 0
        header += 1
        place = queuedNext[place] ?? -1
      }
      sendHeaders(fd, start, header)
    }
    queued = 0
  }

  function sendHeaders(fd: number, start: number, end: number): void {
    let next = start
    while (next < end) {
      const sent = sendMany(fd, base + txHeadersAt + next * headerSize, end - next, msgDontWait)
      if (sent > 0) {
        next += sent
        continue
      }
      const code = libc.errno()
      if (code === eintr) continue
      // A full buffer loses the rest, anything else the one that could not be sent.
      const lost = code === eagain ? end - next : 1
      for (let i = 0; i < lost; i += 1) server().drop('send-failed')
      next += lost
    }
  }

  // Receiving.

  /** Receives into free slots; returns how many came. Makes room first when there is little. */
  function receive(fd: number): number {
    if (slotCount - freeSlot < batch) {
      flush()
      freeSlot = 0
    }
    const got = receiveMany(fd, base + rxHeadersAt + freeSlot * headerSize, batch, msgDontWait, 0)
    return got > 0 ? got : 0
  }

  function readListener(listener: Listener): void {
    for (let round = 0; round < listenerBatches; round += 1) {
      const got = receive(listener.fd)
      const first = freeSlot
      freeSlot += got
      for (let slot = first; slot < first + got; slot += 1) fromClient(listener, slot)
      if (got < batch) return
    }
  }

  function fromClient(listener: Listener, slot: number): void {
    const header = rxHeadersAt + slot * headerSize
    const address = rxAddressesAt + slot * addressSize
    const length = words[(header + lengthAt) >> 2] ?? 0
    const isTruncated = ((words[(header + flagsAt) >> 2] ?? 0) & msgTruncated) !== 0
    words[(header + nameLengthAt) >> 2] = addressSize
    const at = slotsAt + slot * slotBytes + headroomBytes
    const relay = server()
    if (isTruncated) return relay.drop('too-long')
    if (length < 4) return relay.drop('not-turn')
    const kind = bytes[at] ?? 0xff
    if (kind >= 0x50) return relay.drop('not-turn')

    const isIpv4 = bytes[address] === afInet
    const port = uint16(bytes, address + 2)
    const a = isIpv4 ? 0 : readWord(bytes, address + 8)
    const b = isIpv4 ? 0 : readWord(bytes, address + 12)
    const c = isIpv4 ? 0 : readWord(bytes, address + 16)
    const d = isIpv4 ? readWord(bytes, address + 4) : readWord(bytes, address + 20)
    const allocation = relay.state.allocations.find(listener.number, a, b, c, d, port)

    if (kind >= 0x40) {
      relay.counters.packetsFromClients += 1
      relay.counters.bytesFromClients += length
      const payload = channelPayloadBytes(bytes, at, length)
      if (payload < 0) return relay.drop('malformed')
      if (allocation === undefined) return relay.drop('no-allocation')
      const channel = relay.admitChannelData(allocation, uint16(bytes, at), payload)
      if (channel === undefined) return
      const { ip, port } = channel.target
      enqueue(relayFd(allocation, ip.family), at + channelHeaderBytes, payload, ip, port)
      return
    }
    if (allocation !== undefined && isPlainSend(at, length)) {
      return fromClientSend(relay, allocation, at, length)
    }
    if (allocation !== undefined) {
      return relay.receiveMessage(bytes.subarray(at, at + length), allocation.path)
    }
    stranger.family = isIpv4 ? 4 : 6
    stranger.a = a
    stranger.b = b
    stranger.c = c
    stranger.d = d
    const replyBytes = relay.strangers.meet(bytes, at, length, stranger, port)
    if (replyBytes < 0) return
    if (replyBytes > 0) {
      // Whole, for a part of it would be an object more.
      bytes.set(relay.strangers.reply, at)
      return enqueue(listener.fd, at, replyBytes, stranger, port)
    }
    const client = { ip: isIpv4 ? ipv4(d) : ipv6(a, b, c, d), port }
    relay.receiveMessage(bytes.subarray(at, at + length), pathTo(listener, client))
  }

  /** The header of a Send indication of this length. */
  function isPlainSend(at: number, length: number): boolean {
    return (
      length >= 20 &&
      (length & 3) === 0 &&
      uint16(bytes, at) === sendIndicationType &&
      uint16(bytes, at + 2) === length - 20 &&
      readWord(bytes, at + 4) === 0x2112a442
    )
  }

  function fromClientSend(
    relay: RelayServer,
    allocation: Allocation,
    at: number,
    length: number,
  ): void {
    const outcome = readSendIndication(bytes, at, length, indication)
    if (outcome === 'other') {
      return relay.receiveMessage(bytes.subarray(at, at + length), allocation.path)
    }
    relay.counters.packetsFromClients += 1
    relay.counters.bytesFromClients += length
    if (outcome === 'malformed') return relay.drop('malformed')
    const { family, a, b, c, d, port, dataAt, dataBytes, isUnfragmented } = indication
    const target = relay.admitSend(allocation, family, a, b, c, d, port, dataBytes)
    if (target === undefined) return
    const fd = relayFd(allocation, family)
    if (!isUnfragmented) return enqueue(fd, dataAt, dataBytes, target, port)
    flush()
    libc.setUnfragmented(fd, family, true)
    enqueue(fd, dataAt, dataBytes, target, port)
    flush()
    libc.setUnfragmented(fd, family, false)
  }

  function readRelay(fd: number, allocation: Allocation): void {
    const got = receive(fd)
    const first = freeSlot
    freeSlot += got
    for (let slot = first; slot < first + got; slot += 1) fromPeer(allocation, slot)
  }

  function fromPeer(allocation: Allocation, slot: number): void {
    const header = rxHeadersAt + slot * headerSize
    const address = rxAddressesAt + slot * addressSize
    const length = words[(header + lengthAt) >> 2] ?? 0
    const isTruncated = ((words[(header + flagsAt) >> 2] ?? 0) & msgTruncated) !== 0
    words[(header + nameLengthAt) >> 2] = addressSize
    const relay = server()
    if (isTruncated) return relay.drop('too-long')

    const family = bytes[address] === afInet ? 4 : 6
    const port = uint16(bytes, address + 2)
    let a = family === 4 ? 0 : readWord(bytes, address + 8)
    let b = family === 4 ? 0 : readWord(bytes, address + 12)
    let c = family === 4 ? 0 : readWord(bytes, address + 16)
    let d = family === 4 ? readWord(bytes, address + 4) : readWord(bytes, address + 20)
    const advertised = relay.advertisedAddress(family, a, b, c, d)
    if (advertised !== undefined) ({ a, b, c, d } = advertised)
    const number = relay.admitFromPeer(allocation, family, a, b, c, d, port, length)
    if (number < 0) return

    const at = slotsAt + slot * slotBytes + headroomBytes
    const path = allocation.path as MmsgPath
    const { ip: client, port: clientPort } = path.client
    if (number > 0) {
      const start = at - channelHeaderBytes
      setUint16(bytes, start, number)
      setUint16(bytes, start + 2, length)
      enqueue(path.fd, start, channelHeaderBytes + length, client, clientPort)
      return
    }
    const headerBytes = dataHeaderBytes(family)
    const start = at - headerBytes
    headers.write(bytes, start, family, a, b, c, d, port, length)
    const padding = -length & 3
    for (let i = 0; i < padding; i += 1) bytes[at + length + i] = 0
    enqueue(path.fd, start, headerBytes + length + padding, client, clientPort)
  }

  // Sockets and ways, as the rest of the relay sees them.

  interface MmsgSocket extends RelaySocket {
    readonly fd: number
    readonly family: 4 | 6
  }

  function relayFd(allocation: Allocation, family: 4 | 6): number {
    const { relays } = allocation
    for (let i = 0; i < relays.length; i += 1) {
      const socket = relays[i]?.socket as MmsgSocket | undefined
      if (socket?.family === family) return socket.fd
    }
    return -1
  }

  function sendNow(fd: number, payload: Uint8Array, address: Uint8Array): void {
    if (sendTo(fd, payload, payload.length, msgDontWait, address, address.length) < 0) {
      server().drop('send-failed')
    }
  }

  function pathTo(listener: Listener, client: Endpoint): MmsgPath {
    const { fd, endpoint, number } = listener
    return {
      transport: 'UDP',
      client,
      server: endpoint,
      listener: number,
      fd,
      send: (payload) => sendNow(fd, payload, socketAddress(client)),
      relay(header, payload, paddingBytes) {
        const whole = Buffer.concat([header, payload, new Uint8Array(paddingBytes)])
        sendNow(fd, whole, socketAddress(client))
      },
    }
  }

  /** An allocation came or went: the event loop has something to tell the other processes. */
  let hasNews = false

  const sockets: RelaySockets = {
    canForbidFragments: true,
    keep(local) {
      const fd = libc.keepUdp(local)
      return fd === undefined ? undefined : { close: () => libc.close(fd) }
    },
    open(local, isKept = false) {
      const { family } = local.ip
      const options = {
        receiveBytes: relayReceiveBytes,
        sendBytes: relayReceiveBytes,
        isShared: false,
        isKept,
      }
      const fd = libc.openUdp(local, options)
      if (fd === undefined) return undefined
      watch(fd, kindRelay)
      const own: MmsgSocket = {
        fd,
        family,
        send(payload, peer, isUnfragmented) {
          if (isUnfragmented) libc.setUnfragmented(fd, family, true)
          sendNow(fd, payload, socketAddress(peer))
          if (isUnfragmented) libc.setUnfragmented(fd, family, false)
        },
        close() {
          // What waits for this socket goes first: its number is soon another's.
          flush()
          hasNews = true
          kinds[fd] = 0
          owners[fd] = undefined
          libc.close(fd)
        },
      }
      return own
    },
    attach(allocation) {
      hasNews = true
      for (const { socket } of allocation.relays) owners[(socket as MmsgSocket).fd] = allocation
    },
  }

  let isStopped = false
  let lagMs = 0
  let tickedSeconds = nowSeconds

  function updateClock(): void {
    nowMs = Math.floor(performance.now())
    nowSeconds = Math.floor(nowMs / 1000)
  }

  /** Waits, and deals with what came. Whether the event loop is to run at once. */
  function round(wakeFd: number | undefined): boolean {
    const untilTickMs = 1000 - (nowMs % 1000)
    const waitMs = hasNews ? Math.min(newsMs, untilTickMs) : untilTickMs
    const count = epollWait(epoll, base + eventsAt, maxEvents, waitMs)
    updateClock()
    const startMs = nowMs
    let isWoken = count < 0 || (count === 0 && hasNews)
    if (isWoken) hasNews = false
    for (let i = 0; i < count; i += 1) {
      const fd = words[(eventsAt + i * eventSize + eventDataAt) >> 2] ?? 0
      const kind = kinds[fd]
      if (kind === kindRelay) {
        const allocation = owners[fd]
        if (allocation !== undefined) readRelay(fd, allocation)
      } else if (kind === kindListener) {
        const listener = listeners[fd]
        if (listener !== undefined) readListener(listener)
      } else if (kind === kindWake && wakeFd !== undefined) {
        libc.clearEvent(wakeFd)
        isWoken = true
      }
    }
    flush()
    freeSlot = 0
    if (nowSeconds !== tickedSeconds) {
      tickedSeconds = nowSeconds
      server().tick()
    }
    updateClock()
    lagMs = Math.max(lagMs, nowMs - startMs)
    return isWoken
  }

  return {
    sockets,
    clock,
    listen(fd, endpoint, number) {
      listeners[fd] = { fd, endpoint, number }
      watch(fd, kindListener)
    },
    run(wakeFd) {
      if (wakeFd !== undefined) watch(wakeFd, kindWake)
      const rounds = (): void => {
        updateClock()
        const startMs = nowMs
        while (!isStopped) {
          if (round(wakeFd) || nowMs - startMs >= maxRoundsMs) break
        }
        if (!isStopped) setImmediate(rounds)
      }
      setImmediate(rounds)
    },
    stop() {
      isStopped = true
    },
    takeLagMs() {
      const longest = lagMs
      lagMs = 0
      return longest
    },
  }
}

/** Memory for the kernel to write to: of fixed size, and held as long as its user. */
function openArena(
  { koffi }: Libc,
  size: number,
): { bytes: Uint8Array; words: Int32Array; base: number } {
  const alignment = 4096
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const memory = new ArrayBuffer(size + alignment)
    const address = Number(koffi.address(new Uint8Array(memory)))
    const offset = (alignment - (address % alignment)) % alignment
    const base = address + offset
    // Pointers are written in halves; the upper one must be the same for the whole arena.
    if (Math.floor(base / 2 ** 32) !== Math.floor((base + size) / 2 ** 32)) continue
    return {
      bytes: new Uint8Array(memory, offset, size),
      words: new Int32Array(memory, offset, size / 4),
      base,
    }
  }
  throw new Error('no memory for the arena')
}
