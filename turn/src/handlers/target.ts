import { isSameIp, type Ip } from '../wire/ip.ts'
import type { RelayState } from './request.ts'

/**
 * Where packets for a peer go. A peer that is a relay of this host is known to clients by its
 * advertised address; NAT may not carry that back in, so packets go to the local one.
 */
export function targetOf(ip: Ip, { addresses }: Pick<RelayState, 'addresses'>): Ip {
  return addresses.find(({ advertised }) => isSameIp(advertised, ip))?.local ?? ip
}
