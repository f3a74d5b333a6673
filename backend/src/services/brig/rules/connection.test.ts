import { describe, expect, it } from 'vitest'
import type { ConnectionStatus } from '../../../contract/brig/connections.ts'
import { changeConnection, requestConnection } from './connection.ts'
import type { ConnectionOutcome } from './connection.ts'

const statuses: ConnectionStatus[] = [
  'accepted',
  'blocked',
  'pending',
  'ignored',
  'sent',
  'cancelled',
]

/** `own peer` before and after; the sides and the effect in words. */
function inWords(outcome: ConnectionOutcome): string {
  if (typeof outcome === 'string') return outcome
  const { own, peer, effect, tellsPeer } = outcome
  return `${own} ${peer}, ${effect}${tellsPeer ? ', tells' : ''}`
}

describe('setting the status of one side', () => {
  // Rows: own side before. Every other wish of that side is refused, whatever the peer's side is.
  const allowed: [own: ConnectionStatus, wanted: ConnectionStatus, Record<string, string>][] = [
    [
      'pending',
      'accepted',
      {
        sent: 'accepted accepted, accept, tells',
        pending: 'accepted accepted, accept, tells',
        accepted: 'accepted accepted, accept',
        blocked: 'accepted blocked, accept',
        ignored: 'accepted ignored, accept',
        cancelled: 'accepted cancelled, accept',
      },
    ],
    ['pending', 'ignored', { '*': 'ignored =, none' }],
    ['pending', 'blocked', { '*': 'blocked =, block' }],
    [
      'ignored',
      'accepted',
      {
        sent: 'accepted accepted, accept, tells',
        pending: 'accepted accepted, accept, tells',
        '*': 'accepted =, accept',
      },
    ],
    ['ignored', 'blocked', { '*': 'blocked =, block' }],
    ['accepted', 'blocked', { '*': 'blocked =, block' }],
    ['sent', 'blocked', { '*': 'blocked =, block' }],
    [
      'sent',
      'accepted',
      {
        sent: 'accepted accepted, accept, tells',
        accepted: 'accepted accepted, accept, tells',
        '*': 'refused',
      },
    ],
    [
      'sent',
      'cancelled',
      {
        pending: 'cancelled cancelled, cancel, tells',
        ignored: 'cancelled cancelled, cancel, tells',
        blocked: 'cancelled blocked, none',
        cancelled: 'cancelled cancelled, none',
        '*': 'refused',
      },
    ],
    ['cancelled', 'blocked', { '*': 'blocked =, block' }],
    ...(['accepted', 'sent'] as const).map(
      (wanted): [ConnectionStatus, ConnectionStatus, Record<string, string>] => [
        'blocked',
        wanted,
        {
          accepted: 'accepted accepted, unblock',
          blocked: 'accepted blocked, unblock',
          sent: 'accepted accepted, unblock, tells',
          '*': 'sent =, unblock',
        },
      ],
    ),
  ]

  const cases = statuses.flatMap((own) =>
    statuses.flatMap((peer) => statuses.map((wanted) => ({ own, peer, wanted }))),
  )
  it.each(cases)('follows the table for $own and $peer, wanting $wanted', (given) => {
    const { own, peer, wanted } = given
    const row = allowed.find(([from, to]) => from === own && to === wanted)?.[2]
    const expected = (row?.[peer] ?? row?.['*'])?.replace('=', peer)
    const otherwise = own === wanted ? 'unchanged' : 'refused'
    expect(inWords(changeConnection({ own, peer }, wanted))).toBe(expected ?? otherwise)
  })

  it('leaves connections alone that wait for consent to legal hold', () => {
    const status = 'missing-legalhold-consent'
    expect(changeConnection({ own: status, peer: 'accepted' }, 'blocked')).toBe('refused')
    expect(changeConnection({ own: 'accepted', peer: status }, 'blocked')).toBe('refused')
    expect(changeConnection({ own: 'accepted', peer: 'accepted' }, status)).toBe('refused')
    expect(requestConnection({ own: status, peer: status })).toBe('refused')
  })

  it('counts against the limit what was not counted before', () => {
    const room = (outcome: ConnectionOutcome) =>
      typeof outcome === 'string' ? undefined : outcome.takesRoom
    expect(room(changeConnection({ own: 'pending', peer: 'sent' }, 'accepted'))).toBe(true)
    expect(room(changeConnection({ own: 'blocked', peer: 'pending' }, 'sent'))).toBe(true)
    expect(room(changeConnection({ own: 'accepted', peer: 'sent' }, 'blocked'))).toBe(false)
    expect(room(requestConnection(undefined))).toBe(true)
    expect(room(requestConnection({ own: 'sent', peer: 'pending' }))).toBe(false)
    expect(room(requestConnection({ own: 'cancelled', peer: 'cancelled' }))).toBe(true)
  })
})

describe('asking for a connection', () => {
  it('sends a request when there was none', () => {
    expect(inWords(requestConnection(undefined))).toBe('sent pending, request, tells')
  })

  const table: [own: ConnectionStatus, peers: Record<string, string>][] = [
    [
      'accepted',
      {
        accepted: 'unchanged',
        blocked: 'unchanged',
        sent: 'accepted accepted, accept, tells',
        '*': 'sent pending, request, tells',
      },
    ],
    ['blocked', { '*': 'refused' }],
    [
      'sent',
      {
        blocked: 'unchanged',
        sent: 'accepted accepted, accept, tells',
        accepted: 'accepted accepted, accept, tells',
        '*': 'sent pending, request, tells',
      },
    ],
    ...(['pending', 'ignored', 'cancelled'] as const).map(
      (own): [ConnectionStatus, Record<string, string>] => [
        own,
        {
          blocked: 'sent blocked, none',
          sent: 'accepted accepted, accept, tells',
          accepted: 'accepted accepted, accept, tells',
          '*': 'sent pending, request, tells',
        },
      ],
    ),
  ]
  const cases = table.flatMap(([own, peers]) =>
    statuses.map((peer) => ({ own, peer, expected: peers[peer] ?? peers['*'] })),
  )
  it.each(cases)('again, for $own and $peer: $expected', ({ own, peer, expected }) => {
    expect(inWords(requestConnection({ own, peer }))).toBe(expected)
  })
})
