import type { PeersConfig } from '../config.ts'
import { ipv4, isSameIp, type Endpoint, type Ip } from '../wire/ip.ts'
import { network, type Network } from './network.ts'

/** What the policy says about a peer, and which rule said it. */
export interface Verdict {
  readonly isAllowed: boolean
  readonly rule: string
  /** The peer is this relay itself: each packet's port must be checked too. */
  readonly isOwn: boolean
}

/** Whom clients may reach (docs/turn.md has the table). Holds no state but its lists. */
export interface PeerPolicy {
  /** About an address, for a permission. */
  judge(ip: Ip): Verdict
  /** About an address and a port, for a channel or a packet. */
  judgeEndpoint(peer: Endpoint): Verdict
  isRelayPort(port: number): boolean
}

export interface OwnAddresses {
  /** Relay addresses and the ones they are advertised as. */
  readonly addresses: readonly Ip[]
  readonly ports: { readonly from: number; readonly to: number }
}

const networks = (...texts: string[]): readonly Network[] => texts.map(network)

const loopback = networks('127.0.0.0/8', '::1')

/** Nothing allows these: this host, its link, and what is no address of anybody. */
const never = networks(
  '0.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
)

/** Special purposes (the registries of IANA), denied unless an operator allows them. */
const special = networks(
  '100.64.0.0/10',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '64:ff9b:1::/48',
  '100::/64',
  '100:0:0:1::/64',
  '2001::/23',
  '2001:db8::/32',
  '2620:4f:8000::/48',
  '3fff::/20',
  '5f00::/16',
  'fc00::/8',
)

const privateSpace = networks('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fd00::/8')

const mapped = network('::ffff:0:0/96')
const compatible = network('::/96')
const nat64 = network('64:ff9b::/96')
const sixToFour = network('2002::/16')
const teredo = network('2001::/32')

/** The IPv4 addresses that an IPv6 address stands for; routers on the way may unwrap them. */
export function embeddedIpv4(ip: Ip): Ip[] {
  if (ip.family === 4) return []
  // :: and ::1 stand for themselves (RFC 4291 §2.5.5.1).
  if (ip.a === 0 && ip.b === 0 && ip.c === 0 && (ip.d === 0 || ip.d === 1)) return []
  if (mapped.contains(ip) || compatible.contains(ip) || nat64.contains(ip)) return [ipv4(ip.d)]
  if (sixToFour.contains(ip)) return [ipv4((ip.a << 16) | (ip.b >>> 16))]
  // The server, and the client in ones' complement (RFC 4380 §4).
  if (teredo.contains(ip)) return [ipv4(ip.b), ipv4(~ip.d)]
  return []
}

export function peerPolicy(config: PeersConfig, own: OwnAddresses): PeerPolicy {
  const site = config.never.map(network)
  const allow = config.allow.map(network)
  const deny = config.deny.map(network)
  const isOwn = (ip: Ip): boolean => own.addresses.some((address) => isSameIp(address, ip))
  const isRelayPort = (port: number): boolean => port >= own.ports.from && port <= own.ports.to

  const refused = (rule: string): Verdict => ({ isAllowed: false, rule, isOwn: false })
  const within = (lists: readonly Network[], ip: Ip): Network | undefined =>
    lists.find((network) => network.contains(ip))

  /** Undefined: the address decides nothing, another may. */
  function judgeOne(ip: Ip): Verdict | undefined {
    const hard = within(never, ip) ?? (config.loopbackForTests ? undefined : within(loopback, ip))
    if (hard !== undefined) return refused(`never ${hard.text}`)
    const ofSite = within(site, ip)
    if (ofSite !== undefined) return refused(`peers.never ${ofSite.text}`)
    if (isOwn(ip)) return { isAllowed: true, rule: 'own relay address', isOwn: true }
    const allowed = within(allow, ip)
    if (allowed !== undefined) {
      return { isAllowed: true, rule: `peers.allow ${allowed.text}`, isOwn: false }
    }
    const denied = within(deny, ip)
    if (denied !== undefined) return refused(`peers.deny ${denied.text}`)
    const reserved = within(special, ip)
    if (reserved !== undefined) return refused(`special ${reserved.text}`)
    const local = within(privateSpace, ip)
    if (local !== undefined && config.private === 'deny') {
      return refused(`private ${local.text}`)
    }
    return undefined
  }

  function judge(ip: Ip): Verdict {
    const verdicts: Verdict[] = []
    for (const address of [ip, ...embeddedIpv4(ip)]) {
      const verdict = judgeOne(address)
      if (verdict?.isAllowed === false) return verdict
      if (verdict !== undefined) verdicts.push(verdict)
    }
    return (
      verdicts.find(({ isOwn }) => isOwn) ??
      verdicts[0] ?? { isAllowed: true, rule: 'default', isOwn: false }
    )
  }

  return {
    judge,
    judgeEndpoint({ ip, port }) {
      const verdict = judge(ip)
      if (!verdict.isOwn || isRelayPort(port)) return verdict
      return { ...refused('own address outside the relay ports'), isOwn: true }
    },
    isRelayPort,
  }
}
