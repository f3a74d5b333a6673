import { describe, expect, it } from 'vitest'
import { openSqlite } from '../../../adapters/sqlite/wide-column.ts'
import type { Handle } from '../../../contract/brig/user-fields.ts'
import type { UserId } from '../../../contract/ids.ts'
import { UnknownOutcome } from '../../../contract/error.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'
import { systemIds } from '../../../platform/ids.ts'
import { claimStore, handlesTable } from './claims.ts'
import type { User, UserStore } from './users.ts'

const [alice, bob] = [systemIds().uuid() as UserId, systemIds().uuid() as UserId]

/** Claims over a table of users that is only as much of it as they look at. */
async function openClaims(wrap = (db: WideColumnStore): WideColumnStore => db) {
  const db = wrap(await openSqlite({ file: ':memory:' }))
  await db.open([handlesTable])
  const shown = new Map<UserId, Partial<User>>([
    [alice, { status: 'active' }],
    [bob, { status: 'active' }],
  ])
  const users = {
    get: (id: UserId) => {
      const user = shown.get(id)
      return Promise.resolve(user && ({ id, ...user } as User))
    },
  } as UserStore
  return {
    ...claimStore(db, handlesTable, { users, valueOf: (user) => user.handle }),
    show: (user: UserId, handle: string | undefined, status: User['status'] = 'active') =>
      shown.set(user, { status, ...(handle !== undefined && { handle: handle as Handle }) }),
    forget: (user: UserId) => shown.delete(user),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  }
}

describe('a claim', () => {
  it('is taken for others as soon as it is made, and found when the user shows it', async () => {
    await using claims = await openClaims()
    expect(await claims.claim('x', alice)).toBe('claimed')
    expect(await claims.isTaken('x')).toBe(true)
    expect(await claims.claim('x', bob)).toBe('taken')
    expect(await claims.find('x')).toBeUndefined()
    expect((await claims.findClaimant('x'))?.user.id).toBe(alice)

    claims.show(alice, 'x')
    await claims.hold('x', alice)
    expect((await claims.find('x'))?.id).toBe(alice)
    expect(await claims.claim('x', alice)).toBe('claimed')
    expect(await claims.claim('x', bob)).toBe('taken')
  })

  it('is won by one of two who race', async () => {
    await using claims = await openClaims()
    const outcomes = await Promise.all([claims.claim('x', alice), claims.claim('x', bob)])
    expect(outcomes.toSorted()).toEqual(['claimed', 'taken'])
  })

  it('is won or lost by those who do not hear what became of their write', async () => {
    let lostAnswers = 2
    await using claims = await openClaims((db) => ({
      ...db,
      async putIfAbsent(table, row, options) {
        const isApplied = await db.putIfAbsent(table, row, options)
        lostAnswers -= 1
        if (lostAnswers >= 0) throw new UnknownOutcome('nobody knows')
        return isApplied
      },
    }))
    expect(await claims.claim('x', alice)).toBe('claimed')
    expect(await claims.claim('x', bob)).toBe('taken')
  })

  it('that is held is free once its owner shows another', async () => {
    await using claims = await openClaims()
    await claims.claim('x', alice)
    claims.show(alice, 'x')
    await claims.hold('x', alice)
    claims.show(alice, 'y')
    expect(await claims.isTaken('x')).toBe(false)
    expect(await claims.find('x')).toBeUndefined()
    expect(await claims.claim('x', bob)).toBe('claimed')
    expect(await claims.claim('x', alice)).toBe('taken')
  })

  it('that is being taken again by its owner cannot be found free meanwhile', async () => {
    await using claims = await openClaims()
    await claims.claim('x', alice)
    await claims.hold('x', alice)
    // Held, and not shown: free. But the owner is on the way back to it.
    expect(await claims.claim('x', alice)).toBe('claimed')
    expect(await claims.claim('x', bob)).toBe('taken')
  })

  it.each(['deleted', 'unknown'] as const)('of a %s user is free, held or not', async (state) => {
    await using claims = await openClaims()
    await claims.claim('x', alice)
    if (state === 'deleted') claims.show(alice, 'x', 'deleted')
    else claims.forget(alice)
    expect(await claims.isTaken('x')).toBe(false)
    expect(await claims.findClaimant('x')).toBeUndefined()
    expect(await claims.claim('x', bob)).toBe('claimed')
  })

  it('is released only by its owner, and only when it is not shown', async () => {
    await using claims = await openClaims()
    await claims.claim('x', alice)
    claims.show(alice, 'x')
    await claims.hold('x', alice)
    await claims.release('x', bob)
    await claims.release('x', alice)
    expect(await claims.isTaken('x')).toBe(true)
    claims.show(alice, undefined)
    await claims.release('x', alice)
    expect(await claims.findClaimant('x')).toBeUndefined()
  })
})
