import { describe, expect, it } from 'vitest'
import type { ClientType } from '../../../contract/brig/clients.ts'
import type { ClientId } from '../../../contract/ids.ts'
import { addMlsPublicKeys, planRegistration, setCapabilities } from './registration.ts'

const device = (id: string, type: ClientType) => ({ id: id as ClientId, type })
const permanent = (...ids: string[]) => ids.map((id) => device(id, 'permanent'))

describe('registering a device', () => {
  it('takes up to the limit of permanent devices and no more', () => {
    const plan = (existing: number) =>
      planRegistration(
        permanent(...Array.from({ length: existing }, (_, i) => `a${String(i)}`)),
        device('new', 'permanent'),
        7,
      ).isTooMany
    expect([plan(0), plan(6), plan(7), plan(8)]).toEqual([false, false, true, true])
  })

  it('replaces a known device in place, even at the limit and without password', () => {
    const seven = permanent('1', '2', '3', '4', '5', '6', '7')
    const plan = planRegistration(seven, device('3', 'permanent'), 7)
    expect(plan).toEqual({
      previous: seven[2],
      replaced: [],
      needsPassword: false,
      isTooMany: false,
    })
  })

  it('asks for the password once there is a device of the kind', () => {
    const needsPassword = (existing: ReturnType<typeof device>[], type: ClientType) =>
      planRegistration(existing, device('new', type), 7).needsPassword
    expect(needsPassword([], 'permanent')).toBe(false)
    expect(needsPassword([device('t', 'temporary')], 'permanent')).toBe(false)
    expect(needsPassword(permanent('a'), 'permanent')).toBe(true)
    expect(needsPassword(permanent('a'), 'temporary')).toBe(false)
    expect(needsPassword([device('t', 'temporary')], 'temporary')).toBe(true)
  })

  it('lets a new temporary device take the place of the old one', () => {
    const old = device('t', 'temporary')
    const plan = planRegistration(
      [...permanent('1', '2', '3', '4', '5', '6', '7'), old],
      device('new', 'temporary'),
      7,
    )
    expect(plan.replaced).toEqual([old])
    expect(plan.isTooMany).toBe(false)
    expect(planRegistration([old], old, 7).replaced).toEqual([])
  })

  it('counts a device that changes its kind as a new one of that kind', () => {
    const plan = planRegistration(
      [...permanent('1', '2'), device('t', 'temporary')],
      device('t', 'permanent'),
      2,
    )
    expect(plan.previous?.id).toBe('t')
    expect(plan).toMatchObject({ isTooMany: true, needsPassword: true })
  })
})

describe('MLS keys', () => {
  it('are added scheme by scheme, and may be repeated', () => {
    expect(addMlsPublicKeys({ ed25519: 'AA==' }, { ecdsa_secp256r1_sha256: 'BB==' })).toEqual({
      ed25519: 'AA==',
      ecdsa_secp256r1_sha256: 'BB==',
    })
    expect(addMlsPublicKeys({ ed25519: 'AA==' }, { ed25519: 'AA==' })).toEqual({ ed25519: 'AA==' })
  })

  it('are never replaced', () => {
    expect(addMlsPublicKeys({ ed25519: 'AA==' }, { ed25519: 'BB==' })).toBe('duplicate')
  })
})

describe('capabilities', () => {
  it('can be added and not removed', () => {
    expect(setCapabilities([], ['consumable-notifications'])).toEqual(['consumable-notifications'])
    const both = ['legalhold-implicit-consent', 'consumable-notifications'] as const
    expect(setCapabilities(['legalhold-implicit-consent'], both)).toEqual(both)
    expect(setCapabilities(both, ['legalhold-implicit-consent'])).toBe('removed')
  })
})
