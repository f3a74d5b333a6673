import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ClientId, Domain, QualifiedUserId, UserId } from '../../../contract/ids.ts'
import type { MismatchStrategy, QualifiedTexts } from '../../../contract/proteus/otr-message.ts'
import { compareRecipients, devicesIn, isEmpty } from './mismatch.ts'

const home = 'example.org' as Domain
const abroad = 'elsewhere.net' as Domain
const [alice, bob, carol] = ['a', 'b', 'c'] as unknown as [UserId, UserId, UserId]
const sender = { user: alice, client: 'a1' as ClientId }
const text = new Uint8Array([1])

type Lists = Readonly<Record<string, readonly string[]>>
const devices = (lists: Lists) =>
  new Map(
    Object.entries(lists).map(([user, list]) => [user as UserId, new Set(list as ClientId[])]),
  )
const texts = (lists: Lists, domain = home): QualifiedTexts =>
  new Map([
    [
      domain,
      new Map(
        Object.entries(lists).map(([user, list]) => [
          user as UserId,
          new Map((list as ClientId[]).map((client) => [client, text])),
        ]),
      ),
    ],
  ])
const all: MismatchStrategy = { kind: 'report-all' }
const without = (set: ReadonlySet<string>, other: ReadonlySet<string>) =>
  new Set([...set].filter((item) => !other.has(item)))
const only = (kind: 'report-only' | 'ignore-only', ...users: QualifiedUserId[]) => ({ kind, users })
const compare = (members: Lists, recipients: QualifiedTexts, strategy: MismatchStrategy = all) =>
  compareRecipients(home, sender, devices(members), recipients, strategy)

describe('comparing the recipients of a message', () => {
  it('delivers to every device when all of them are named', () => {
    const result = compare({ a: ['a1', 'a2'], b: ['b1'] }, texts({ a: ['a2'], b: ['b1'] }))
    expect(result).toEqual({
      missing: {},
      redundant: {},
      deleted: {},
      deliveries: [
        { user: alice, client: 'a2', text },
        { user: bob, client: 'b1', text },
      ],
    })
  })

  it('never misses the sending device, nor members without devices', () => {
    expect(compare({ a: ['a1'], b: [] }, texts({}))).toMatchObject({ missing: {}, deliveries: [] })
  })

  it('names what is missing, also devices of the sender', () => {
    const { missing, deliveries } = compare(
      { a: ['a1', 'a2'], b: ['b1', 'b2'] },
      texts({ b: ['b1'] }),
    )
    expect(missing).toEqual({ [home]: { a: ['a2'], b: ['b2'] } })
    expect(deliveries).toHaveLength(1)
  })

  it('calls devices that members no longer have deleted', () => {
    const { deleted, redundant } = compare(
      { a: ['a1'], b: ['b1'] },
      texts({ a: ['a9'], b: ['b1', 'b9'] }),
    )
    expect(deleted).toEqual({ [home]: { a: ['a9'], b: ['b9'] } })
    expect(redundant).toEqual({})
  })

  it('calls outsiders and the sending device redundant', () => {
    const recipients: QualifiedTexts = new Map([
      ...texts({ a: ['a1'], b: ['b1'], c: ['c1'] }),
      ...texts({ b: ['b1'] }, abroad),
    ])
    expect(compare({ a: ['a1'], b: ['b1'] }, recipients)).toMatchObject({
      redundant: { [home]: { a: ['a1'], c: ['c1'] }, [abroad]: { b: ['b1'] } },
      deleted: {},
      deliveries: [{ user: bob, client: 'b1' }],
    })
  })

  it('reports what the strategy says', () => {
    const members = { a: ['a1'], b: ['b1'], c: ['c1'] }
    const missing = (strategy: MismatchStrategy) => compare(members, texts({}), strategy).missing
    const atHome = (id: UserId) => ({ domain: home, id })
    const atBoth = { [home]: { b: ['b1'], c: ['c1'] } }
    expect(missing({ kind: 'ignore-all' })).toEqual({})
    expect(missing(only('report-only', atHome(bob)))).toEqual({ [home]: { b: ['b1'] } })
    expect(missing(only('ignore-only', atHome(bob)))).toEqual({ [home]: { c: ['c1'] } })
    expect(missing(only('report-only'))).toEqual({})
    expect(missing(only('ignore-only'))).toEqual(atBoth)
    // The same id on another backend is another user.
    expect(missing(only('report-only', { domain: abroad, id: carol }))).toEqual({})
    expect(missing(only('ignore-only', { domain: abroad, id: carol }))).toEqual(atBoth)
  })

  const lists = fc.dictionary(
    fc.constantFrom('a', 'b', 'c', 'd'),
    fc.uniqueArray(fc.constantFrom('a1', 'x1', 'x2', 'x3')),
    { noNullPrototype: true },
  )
  const users = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'))
  const strategies = fc.oneof(
    fc.constant(all),
    fc.constant({ kind: 'ignore-all' } as const),
    fc
      .tuple(fc.constantFrom('report-only' as const, 'ignore-only' as const), users)
      .map(([kind, named]) =>
        only(kind, ...named.map((id) => ({ domain: home, id: id as UserId }))),
      ),
  )

  it('puts each device where the definition says (Wire protocol notes §7)', () => {
    fc.assert(
      fc.property(lists, lists, strategies, (members, named, strategy) => {
        const result = compare(members, texts(named), strategy)
        const pairs = (from: Lists) =>
          Object.entries(from).flatMap(([user, list]) => list.map((client) => `${user} ${client}`))
        const found = (from: typeof result.missing) => new Set(pairs(devicesIn(from, home)))
        const sending = 'a a1'
        const expected = new Set(pairs(members).filter((device) => device !== sending))
        const given = new Set(pairs(named))
        const isMember = (device: string) => device.charAt(0) in members
        const isReported = (device: string): boolean => {
          if (strategy.kind === 'report-all') return true
          if (strategy.kind === 'ignore-all') return false
          if (!('users' in strategy)) return false
          const isNamed = strategy.users.some(({ id }) => device.startsWith(id))
          return strategy.kind === 'report-only' ? isNamed : !isNamed
        }
        const extra = without(given, expected)
        const deleted = new Set([...extra].filter((d) => isMember(d) && d !== sending))

        expect(found(result.missing)).toEqual(
          new Set([...without(expected, given)].filter(isReported)),
        )
        expect(found(result.deleted)).toEqual(deleted)
        expect(found(result.redundant)).toEqual(without(extra, deleted))
        expect(new Set(result.deliveries.map(({ user, client }) => `${user} ${client}`))).toEqual(
          without(expected, without(expected, given)),
        )
        expect(isEmpty(result.missing)).toBe(pairs(devicesIn(result.missing, home)).length === 0)
      }),
      { numRuns: 2000 },
    )
  })
})
