import { expect, it } from 'vitest'
import { UserProfile } from '../../../contract/brig/users.ts'
import type { Email, Handle, Locale } from '../../../contract/brig/user-fields.ts'
import type { Domain, TeamId, UserId } from '../../../contract/ids.ts'
import type { User } from '../store/users.ts'
import { isVisible, profileOf, summaryOf } from './profile.ts'

const domain = 'tricord.internal' as Domain
const alice: User = {
  id: '2e8a2b1c-94e7-4c6a-9f1d-0a3a2f6f7c11' as UserId,
  name: 'Alice',
  accentId: 3,
  assets: [{ key: '3-1-2e8a2b1c-94e7-4c6a-9f1d-0a3a2f6f7c11', type: 'image', size: 'preview' }],
  picture: [],
  textStatus: 'away',
  locale: 'en' as Locale,
  handle: 'alice' as Handle,
  email: 'alice@example.org' as Email,
  status: 'active',
  isActivated: true,
  managedBy: 'wire',
  supportedProtocols: ['proteus'],
  type: 'regular',
  isSearchable: true,
  createdMs: 0,
  changedMs: 0,
}

it('shows others what they may see, and never an address', () => {
  const profile = profileOf(alice, domain)
  expect(UserProfile.parse(profile)).toEqual(profile)
  expect(profile).toMatchObject({
    qualified_id: { domain, id: alice.id },
    handle: 'alice',
    text_status: 'away',
    legalhold_status: 'no_consent',
  })
  expect(JSON.stringify(profile)).not.toContain('example.org')
  expect(profile).not.toHaveProperty('deleted')
})

it('leaves of a deleted user only that there was one', () => {
  const profile = profileOf({ ...alice, status: 'deleted' }, domain)
  expect(profile).toMatchObject({ id: alice.id, name: 'default', assets: [], deleted: true })
  for (const field of ['handle', 'text_status', 'team', 'email']) {
    expect(profile).not.toHaveProperty(field)
  }
})

it('tells when a guest has to go', () => {
  const guest: User = { ...alice, status: 'ephemeral', expiresMs: Date.UTC(2026, 0, 2) }
  expect(profileOf(guest, domain).expires_at).toBe('2026-01-02T00:00:00.000Z')
})

it('hides those who were only invited', () => {
  expect(isVisible({ ...alice, status: 'pending-invitation' })).toBe(false)
  expect(isVisible({ ...alice, status: 'deleted' })).toBe(true)
})

it('tells other services that a guest has no verified address', () => {
  expect(summaryOf({ ...alice, status: 'ephemeral' }).isActivated).toBe(false)
})

it('tells other services what they need', () => {
  const team = '7d1f7a3e-2d7c-4a3f-8f0a-9d1f7a3e2d7c' as TeamId
  expect(summaryOf({ ...alice, team })).toEqual({
    id: alice.id,
    name: 'Alice',
    team,
    status: 'active',
    type: 'regular',
    isActivated: true,
  })
})
