/**
 * A UDP socket that sends and receives in batches, with a source address of its own for each packet:
 * one socket plays any number of clients at 127.a.b.c (Linux; structures of x86-64 and arm64).
 */
import koffi from 'koffi'

const libc = koffi.load('libc.so.6')
const openSocket = libc.func('int socket(int, int, int)')
const bind = libc.func('int bind(int, void *, unsigned int)')
const setOption = libc.func('int setsockopt(int, int, int, void *, unsigned int)')
const getName = libc.func('int getsockname(int, void *, void *)')
const closeSocket = libc.func('int close(int)')
const sendMany = libc.func('int sendmmsg(int, uint64_t, unsigned int, int)')
const receiveMany = libc.func('int recvmmsg(int, uint64_t, unsigned int, int, uint64_t)')
const waitFor = libc.func('int poll(uint64_t, unsigned long, int)')

const headerBytes = 64
const vectorBytes = 16
const addressBytes = 16
const controlBytes = 32
const dontWait = 0x40
const family = 2
const datagram = 2

export interface PacketSocket extends Disposable {
  readonly fd: number
  readonly port: number
  /** Prepares an outgoing slot; the bytes may be changed later through `bytes`. */
  put(slot: number, payload: Uint8Array, to: Endpoint, from?: number): void
  /** What an outgoing slot holds, to write stamps into. */
  readonly outgoing: DataView
  /** Where a slot's payload starts in `outgoing`. */
  outgoingAt(slot: number): number
  setLength(slot: number, length: number): void
  setSource(slot: number, address: number): void
  /** Sends slots `first` to `first + count`; says how many the kernel took. */
  send(first: number, count: number): number
  /** Receives into the incoming slots; says how many came, 0 when nothing waits. */
  receive(): number
  readonly incoming: DataView
  incomingAt(slot: number): number
  incomingLength(slot: number): number
  /** Source of a packet that `receive` brought: address and port as numbers. */
  sourceOf(slot: number): Endpoint
}

/** An IPv4 address as a number, and a port. */
export interface Endpoint {
  readonly address: number
  readonly port: number
}

export const addressNumber = (host: string): number =>
  host.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)

export const addressText = (address: number): string =>
  [24, 16, 8, 0].map((shift) => String((address >>> shift) & 255)).join('.')

/** Memory whose address the kernel may be told. Lives as long as the process. */
function allocate(bytes: number): { address: bigint; view: DataView<ArrayBuffer> } {
  const pointer: unknown = koffi.alloc('uint8_t', bytes)
  const view = new DataView(koffi.view(pointer, bytes))
  new Uint8Array(view.buffer).fill(0)
  return { address: koffi.address(pointer), view }
}

/** Headers, vectors, names, controls and payloads of `slots` messages, side by side. */
function allocateSlots(slots: number, slotBytes: number, hasControl: boolean) {
  const headers = allocate(slots * headerBytes)
  const vectors = allocate(slots * vectorBytes)
  const names = allocate(slots * addressBytes)
  const controls = allocate(slots * controlBytes)
  const payloads = allocate(slots * slotBytes)
  for (let slot = 0; slot < slots; slot += 1) {
    const header = slot * headerBytes
    const view = headers.view
    view.setBigUint64(header, names.address + BigInt(slot * addressBytes), true)
    view.setUint32(header + 8, addressBytes, true)
    view.setBigUint64(header + 16, vectors.address + BigInt(slot * vectorBytes), true)
    view.setBigUint64(header + 24, 1n, true)
    if (hasControl) {
      view.setBigUint64(header + 32, controls.address + BigInt(slot * controlBytes), true)
      view.setBigUint64(header + 40, BigInt(controlBytes), true)
      // struct cmsghdr { len 28, level IPPROTO_IP, type IP_PKTINFO }
      controls.view.setBigUint64(slot * controlBytes, 28n, true)
      controls.view.setInt32(slot * controlBytes + 12, 8, true)
    }
    const vector = slot * vectorBytes
    vectors.view.setBigUint64(vector, payloads.address + BigInt(slot * slotBytes), true)
    vectors.view.setBigUint64(vector + 8, BigInt(slotBytes), true)
  }
  return { headers, vectors, names, controls, payloads }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}

function fail(call: string): never {
  const errno = koffi.errno()
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0]
  throw new Error(`${call}: ${name ?? String(errno)}`)
}

const isAgain = (): boolean => {
  const errno = koffi.errno()
  // ECONNREFUSED is the echo of an earlier packet to a closed port.
  return (
    errno === koffi.os.errno['EAGAIN'] ||
    errno === koffi.os.errno['EINTR'] ||
    errno === koffi.os.errno['ECONNREFUSED'] ||
    errno === koffi.os.errno['ENOBUFS']
  )
}

/** @param slots outgoing slots; 64 more take what comes in. */
export function openPacketSocket({
  slots,
  slotBytes = 512,
  port = 0,
  batch = 64,
}: {
  slots: number
  slotBytes?: number
  port?: number
  batch?: number
}): PacketSocket {
  const out = allocateSlots(slots, slotBytes, true)
  const into = allocateSlots(batch, 2048, false)
  const fd = openSocket(family, datagram, 0) as number
  if (fd < 0) fail('socket')
  // SOL_SOCKET, SO_RCVBUFFORCE or SO_RCVBUF, SO_SNDBUFFORCE or SO_SNDBUF
  if (setOption(fd, 1, 33, int32(32 * 2 ** 20), 4) !== 0) {
    setOption(fd, 1, 8, int32(4 * 2 ** 20), 4)
  }
  if (setOption(fd, 1, 32, int32(32 * 2 ** 20), 4) !== 0) {
    setOption(fd, 1, 7, int32(4 * 2 ** 20), 4)
  }
  const name = Buffer.alloc(addressBytes)
  name.writeUInt16LE(family, 0)
  name.writeUInt16BE(port, 2)
  if (bind(fd, name, addressBytes) !== 0) fail('bind')
  getName(fd, name, int32(addressBytes))
  let isOpen = true

  return {
    fd,
    port: name.readUInt16BE(2),
    outgoing: out.payloads.view,
    outgoingAt: (slot) => slot * slotBytes,
    put(slot, payload, to, from = 0) {
      new Uint8Array(out.payloads.view.buffer, slot * slotBytes, slotBytes).set(payload)
      const at = slot * addressBytes
      out.names.view.setUint16(at, family, true)
      out.names.view.setUint16(at + 2, to.port)
      out.names.view.setUint32(at + 4, to.address)
      this.setLength(slot, payload.length)
      this.setSource(slot, from)
    },
    setLength: (slot, length) => {
      out.vectors.view.setUint32(slot * vectorBytes + 8, length, true)
    },
    setSource: (slot, address) => {
      out.controls.view.setUint32(slot * controlBytes + 20, address)
    },
    send(first, count) {
      const at = out.headers.address + BigInt(first * headerBytes)
      const sent = sendMany(fd, at, count, dontWait) as number
      if (sent < 0 && !isAgain()) fail('sendmmsg')
      return Math.max(sent, 0)
    },
    receive() {
      // The kernel wrote the lengths of the last names here.
      for (let slot = 0; slot < batch; slot += 1) {
        into.headers.view.setUint32(slot * headerBytes + 8, addressBytes, true)
      }
      const count = receiveMany(fd, into.headers.address, batch, dontWait, 0n) as number
      if (count < 0 && !isAgain()) fail('recvmmsg')
      return Math.max(count, 0)
    },
    incoming: into.payloads.view,
    incomingAt: (slot) => slot * 2048,
    incomingLength: (slot) => into.headers.view.getUint32(slot * headerBytes + 56, true),
    sourceOf: (slot) => ({
      address: into.names.view.getUint32(slot * addressBytes + 4),
      port: into.names.view.getUint16(slot * addressBytes + 2),
    }),
    [Symbol.dispose]() {
      if (isOpen) closeSocket(fd)
      isOpen = false
    },
  }
}

/** Sleeps until one of the sockets has something to read or the time is over. */
export function waiter(sockets: readonly PacketSocket[]): (timeoutMs: number) => void {
  const entries = allocate(8 * sockets.length)
  sockets.forEach((socket, index) => {
    entries.view.setInt32(index * 8, socket.fd, true)
    entries.view.setInt16(index * 8 + 4, 1, true)
  })
  return (timeoutMs) => void waitFor(entries.address, sockets.length, timeoutMs)
}
