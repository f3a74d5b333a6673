import { BlockList, isIP } from 'node:net'

/** Addresses and networks given as text: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`. */
export interface Networks {
  includes(address: string): boolean
}

/** Throws for an entry that is neither, with its text. */
export function parseNetworks(entries: readonly string[]): Networks {
  const list = new BlockList()
  for (const entry of entries) add(list, entry)
  return {
    includes(address) {
      const plain = plainAddress(address)
      const family = familyOf(plain)
      return family !== undefined && list.check(plain, family)
    },
  }
}

export function isNetwork(entry: string): boolean {
  try {
    add(new BlockList(), entry)
    return true
  } catch {
    return false
  }
}

function add(list: BlockList, entry: string): void {
  const [, address = '', bits] = /^([^/]+)(?:\/([0-9]{1,3}))?$/.exec(entry) ?? []
  const family = familyOf(address)
  const isRange = bits !== undefined && Number(bits) <= (family === 'ipv4' ? 32 : 128)
  if (family === undefined || (bits !== undefined && !isRange)) {
    throw new Error(`${entry} is not an address or a network`)
  }
  if (isRange) list.addSubnet(address, Number(bits), family)
  else list.addAddress(address, family)
}

/** An IPv4 address that came in over an IPv6 socket, without its wrapping. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}

/**
 * The caller's address: of `X-Forwarded-For`, read from the right, the first that is not one of
 * our own proxies.
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | undefined,
  trusted: Networks,
): string {
  let address = plainAddress(peer)
  if (forwardedFor === undefined) return address
  for (const hop of forwardedFor.split(',').toReversed()) {
    if (!trusted.includes(address)) break
    const candidate = plainAddress(hop.trim())
    if (isIP(candidate) === 0) break
    address = candidate
  }
  return address
}

/** One household of IPv6 counts as one caller. */
export function limitKey(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)
  return [...left, ...Array<string>(gap).fill('0'), ...right]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const family = isIP(address)
  if (family === 0) return undefined
  return family === 4 ? 'ipv4' : 'ipv6'
}
