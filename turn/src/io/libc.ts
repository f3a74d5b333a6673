import { createRequire } from 'node:module'
import { ipBytes, type Endpoint } from '../wire/ip.ts'
import { setUint16, uint16 } from '../wire/message.ts'

/** Calls of libc that Node has none for. Linux only; addresses of memory appear in mmsg.ts alone. */
export interface Libc {
  /** A bound UDP socket that does not block; undefined when the kernel refuses. */
  openUdp(local: Endpoint, options: UdpOptions): number | undefined
  /**
   * A UDP socket that keeps other programs from a port and takes no packets.
   */
  keepUdp(local: Endpoint): number | undefined
  /** A listening TCP socket. Throws. */
  openTcp(local: Endpoint): number
  /** The port a socket is bound to. */
  portOf(fd: number, family: 4 | 6): number
  /** Something that one process can write to wake another that waits. */
  openEvent(): number
  signalEvent(fd: number): void
  /** Forgets that it was signalled. */
  clearEvent(fd: number): void
  setUnfragmented(fd: number, family: 4 | 6, isUnfragmented: boolean): void
  close(fd: number): void
  /** Of the last call that failed. */
  errno(): number
  /** What mmsg.ts binds further calls with. */
  readonly koffi: Koffi
  readonly library: ReturnType<Koffi['load']>
}

export interface UdpOptions {
  readonly receiveBytes: number
  readonly sendBytes: number
  /** Several sockets share the port, each with its own clients. */
  readonly isShared: boolean
  /** The port may be one that `keepUdp` keeps; once this has it, nobody else gets it. */
  readonly isKept?: boolean
}

type Koffi = typeof import('koffi')

const afInet = 2
const afInet6 = 10
const sockStream = 1
const sockDatagram = 2
const nonBlockCloseOnExec = 0o4000 | 0o2000000
const solSocket = 1
const soReuseAddress = 2
const soSendBuffer = 7
const soReceiveBuffer = 8
const soReusePort = 15
const soSendBufferForce = 32
const soReceiveBufferForce = 33
const ipprotoIp = 0
const ipprotoIpv6 = 41
const ipMtuDiscover = 10
const ipv6MtuDiscover = 23
const ipv6Only = 26
const pmtuDont = 0
const pmtuDo = 2

/** A socket address as the kernel lays it out; 16 bytes for IPv4, 28 for IPv6. */
export function socketAddress({ ip, port }: Endpoint): Uint8Array {
  const bytes = new Uint8Array(ip.family === 4 ? 16 : 28)
  new Uint16Array(bytes.buffer, 0, 1)[0] = ip.family === 4 ? afInet : afInet6
  setUint16(bytes, 2, port)
  bytes.set(ipBytes(ip), ip.family === 4 ? 4 : 8)
  return bytes
}

/** Undefined where there is none: another system, or koffi has no build for it. */
export function loadLibc(): Libc | undefined {
  if (process.platform !== 'linux') return undefined
  let koffi: Koffi
  let library: ReturnType<Koffi['load']>
  try {
    koffi = createRequire(import.meta.url)('koffi') as Koffi
    library = koffi.load('libc.so.6')
  } catch {
    return undefined
  }
  const bind = (definition: string): ((...args: unknown[]) => number) =>
    library.func(definition) as (...args: unknown[]) => number
  const socket = bind('int socket(int, int, int)')
  const bindSocket = bind('int bind(int, const void *, uint32)')
  const connectSocket = bind('int connect(int, const void *, uint32)')
  const listen = bind('int listen(int, int)')
  const setOption = bind('int setsockopt(int, int, int, const void *, uint32)')
  const socketName = bind('int getsockname(int, _Out_ uint8 *, _Inout_ uint32 *)')
  const eventfd = bind('int eventfd(uint32, int)')
  const write = bind('long write(int, const void *, size_t)')
  const read = bind('long read(int, void *, size_t)')
  const closeFd = bind('int close(int)')

  const int32 = new Int32Array(1)
  function set(fd: number, level: number, name: number, value: number): boolean {
    int32[0] = value
    return setOption(fd, level, name, int32, 4) === 0
  }
  const one = new BigUint64Array([1n])
  const eight = new BigUint64Array(1)

  function open(kind: number, local: Endpoint): number {
    const { family } = local.ip
    const fd = socket(family === 4 ? afInet : afInet6, kind | nonBlockCloseOnExec, 0)
    if (fd >= 0 && family === 6) set(fd, ipprotoIpv6, ipv6Only, 1)
    return fd
  }
  function bindTo(fd: number, local: Endpoint): boolean {
    const address = socketAddress(local)
    return bindSocket(fd, address, address.length) === 0
  }
  function setUnfragmented(fd: number, family: 4 | 6, isUnfragmented: boolean): void {
    const value = isUnfragmented ? pmtuDo : pmtuDont
    if (family === 4) set(fd, ipprotoIp, ipMtuDiscover, value)
    else set(fd, ipprotoIpv6, ipv6MtuDiscover, value)
  }

  return {
    koffi,
    library,
    errno: () => koffi.errno(),
    openUdp(local, { receiveBytes, sendBytes, isShared, isKept = false }) {
      const fd = open(sockDatagram, local)
      if (fd < 0) return undefined
      if (isShared || isKept) set(fd, solSocket, soReusePort, 1)
      // With the right to, more than the system's limit; else as much as it gives.
      if (!set(fd, solSocket, soReceiveBufferForce, receiveBytes)) {
        set(fd, solSocket, soReceiveBuffer, receiveBytes)
      }
      if (!set(fd, solSocket, soSendBufferForce, sendBytes)) {
        set(fd, solSocket, soSendBuffer, sendBytes)
      }
      setUnfragmented(fd, local.ip.family, false)
      if (bindTo(fd, local)) {
        if (isKept) set(fd, solSocket, soReusePort, 0)
        return fd
      }
      closeFd(fd)
      return undefined
    },
    keepUdp(local) {
      const fd = open(sockDatagram, local)
      if (fd < 0) return undefined
      const address = socketAddress(local)
      // Bound alone first, for together with others of this relay any port would seem free. Connected
      // to itself it takes no packets from anybody else, so they go to the socket beside it.
      if (
        bindTo(fd, local) &&
        set(fd, solSocket, soReusePort, 1) &&
        connectSocket(fd, address, address.length) === 0
      ) {
        return fd
      }
      closeFd(fd)
      return undefined
    },
    openTcp(local) {
      const fd = open(sockStream, local)
      set(fd, solSocket, soReuseAddress, 1)
      if (fd >= 0 && bindTo(fd, local) && listen(fd, 1024) === 0) return fd
      const code = koffi.errno()
      if (fd >= 0) closeFd(fd)
      throw new Error(`a TCP socket cannot be opened: error ${String(code)}`)
    },
    portOf(fd) {
      const address = new Uint8Array(28)
      if (socketName(fd, address, [28]) !== 0) throw new Error('a socket has no name')
      return uint16(address, 2)
    },
    openEvent: () => eventfd(0, nonBlockCloseOnExec),
    signalEvent: (fd) => void write(fd, one, 8),
    clearEvent: (fd) => void read(fd, eight, 8),
    setUnfragmented,
    close: (fd) => void closeFd(fd),
  }
}
