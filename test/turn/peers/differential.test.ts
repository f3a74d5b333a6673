import { beforeAll, describe, expect, it } from 'vitest'
import { hasCoturn, startCoturn } from '../support/coturn.ts'
import { raisedLimits, startRelay } from '../support/relay.ts'
import { conversations, converse, type Comparable } from '../support/requests.ts'

interface Difference {
  readonly ours: Comparable
  readonly coturn: Comparable
  readonly why: string
}

const responseOrigin = 'RESPONSE-ORIGIN (0x802b) belongs to NAT discovery, which is not offered'
const signed = 'every answer to a signed request is signed (RFC 8489 §9.2.4)'

/** Where the relay differs from coturn 4.6 on purpose; docs/turn.md shows the same. */
const deliberate: Readonly<Record<string, Difference>> = {
  Binding: {
    ours: 'binding success - xorMappedAddress',
    coturn: 'binding success - 0x802b xorMappedAddress',
    why: responseOrigin,
  },
  'Binding with a fingerprint': {
    ours: 'binding success - fingerprint xorMappedAddress',
    coturn: 'binding success - 0x802b fingerprint xorMappedAddress',
    why: responseOrigin,
  },
  'Binding with an unknown attribute that may be ignored': {
    ours: 'binding success - xorMappedAddress',
    coturn: 'binding success - 0x802b xorMappedAddress',
    why: responseOrigin,
  },
  'Allocate for protocol 99': {
    ours: 'allocate error 442 errorCode messageIntegrity',
    coturn: 'allocate error 400 errorCode messageIntegrity',
    why: 'any transport but UDP is 442 (RFC 8656 §7.2)',
  },
  'Allocate with a token that nobody gave': {
    ours: 'allocate error 508 errorCode messageIntegrity',
    coturn: 'allocate error 404 errorCode messageIntegrity',
    why: '508 (RFC 8656 §7.2); 404 is no code of TURN',
  },
  'Allocate, a second one': {
    ours: 'allocate error 437 errorCode messageIntegrity',
    coturn: 'allocate error 437 errorCode',
    why: signed,
  },
  'Refresh by another user': {
    ours: 'refresh error 441 errorCode messageIntegrity',
    coturn: 'refresh error 441 errorCode',
    why: signed,
  },
  'CreatePermission without an allocation': {
    ours: 'createPermission error 437 errorCode messageIntegrity',
    coturn: 'createPermission error 400 errorCode messageIntegrity',
    why: '437 (RFC 8656 §5)',
  },
  'ChannelBind without an allocation': {
    ours: 'channelBind error 437 errorCode messageIntegrity',
    coturn: 'channelBind error 400 errorCode messageIntegrity',
    why: '437 (RFC 8656 §5)',
  },
  'Refresh after Refresh 0': {
    ours: 'refresh error 437 errorCode messageIntegrity',
    coturn: 'refresh success - lifetime messageIntegrity',
    why: 'a lifetime of 0 ends the allocation at once (RFC 8656 §8.2)',
  },
  'ChannelBind of 0x5000': {
    ours: 'channelBind error 400 errorCode messageIntegrity',
    coturn: 'channelBind success - messageIntegrity',
    why: 'channels end at 0x4fff (RFC 8656 §12)',
  },
  'Connect (RFC 6062)': {
    ours: 'connect error 400 errorCode messageIntegrity',
    coturn: 'connect error 403 errorCode messageIntegrity',
    why: 'TCP allocations are not offered: an unknown method',
  },
}

describe.skipIf(!hasCoturn)('answers like coturn', () => {
  let ours: Map<string, Comparable>
  let theirs: Map<string, Comparable>

  beforeAll(async () => {
    await using relay = await startRelay({ limits: raisedLimits })
    await using coturn = await startCoturn({ flags: ['--denied-peer-ip=10.0.0.0-10.255.255.255'] })
    ;[ours, theirs] = await Promise.all([converse(relay), converse(coturn)])
  }, 120_000)

  it.for(conversations.map(({ name }) => name).filter((name) => deliberate[name] === undefined))(
    '%s',
    (name) => {
      expect(ours.get(name)).toBeDefined()
      expect(ours.get(name)).toBe(theirs.get(name))
    },
  )

  it.for(Object.entries(deliberate).map(([name, difference]) => ({ name, ...difference })))(
    '$name: not like coturn, for $why',
    ({ name, ours: own, coturn }) => {
      expect(ours.get(name)).toBe(own)
      expect(theirs.get(name)).toBe(coturn)
    },
  )

  it('has a reason for conversations alone that exist', () => {
    const names = new Set(conversations.map(({ name }) => name))
    expect(Object.keys(deliberate).filter((name) => !names.has(name))).toEqual([])
  })
})
