import { describe, expect, it } from 'vitest'
import type { AccessRole } from '../../../contract/galley/conversation-fields.ts'
import { admits, isSameSet, isValidAccess, legacyAccessRole } from './access.ts'

const member = { isActivated: true, type: 'regular' } as const
const guest = { isActivated: false, type: 'regular' } as const
const bot = { isActivated: true, type: 'bot' } as const

it.each<[string, AccessRole[]]>([
  ['private', []],
  ['team', ['team_member']],
  ['activated', ['service']],
  ['activated', ['team_member', 'non_team_member', 'service']],
  ['non_activated', ['guest']],
  ['non_activated', ['team_member', 'non_team_member', 'guest', 'service']],
])('calls a set of roles %s by the narrowest old name that covers it', (name, roles) => {
  expect(legacyAccessRole(roles)).toBe(name)
})

describe('admission', () => {
  it('asks for the role of everybody who comes in', () => {
    expect(admits(['non_team_member'], [member])).toBe('admitted')
    expect(admits([], [member])).toBe('access-denied')
    expect(admits(['team_member', 'guest'], [member])).toBe('no-team-member')
    expect(admits(['non_team_member'], [member, guest])).toBe('access-denied')
    expect(admits(['non_team_member', 'guest'], [member, guest])).toBe('admitted')
    expect(admits(['non_team_member', 'guest'], [bot])).toBe('access-denied')
    expect(admits(['non_team_member', 'service'], [bot])).toBe('admitted')
    expect(admits(['team_member'], [])).toBe('admitted')
  })
})

it('leaves somebody who can be in', () => {
  expect(isValidAccess(['invite'], ['guest'])).toBe(true)
  expect(isValidAccess(['invite'], ['team_member'])).toBe(false)
  expect(isValidAccess(['invite'], [])).toBe(false)
  expect(isValidAccess([], ['guest'])).toBe(false)
  expect(isValidAccess(['invite', 'private'], ['guest'])).toBe(false)
})

it('compares without order and repetition', () => {
  expect(isSameSet([1, 2], [2, 1, 1])).toBe(true)
  expect(isSameSet([1], [1, 2])).toBe(false)
  expect(isSameSet([1, 2], [1])).toBe(false)
})
