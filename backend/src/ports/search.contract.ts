import { describe, expect, it } from 'vitest'
import type { TeamId, UserId } from '../contract/ids.ts'
import type { UserDocument, UserQuery, UserSearch } from './search.ts'

const userId = (n: number): UserId =>
  `00000000-0000-4000-8000-${String(n).padStart(12, '0')}` as UserId
const teamA = '00000000-0000-4000-8000-00000000000a' as unknown as TeamId
const teamB = '00000000-0000-4000-8000-00000000000b' as unknown as TeamId
const searcher = userId(999_999_999)

let lastId = 0
function document(changes: Partial<UserDocument>): UserDocument {
  lastId += 1
  return {
    user: userId(lastId),
    name: 'Somebody',
    accentId: 0,
    type: 'regular',
    isSearchable: true,
    isActive: true,
    isInboundOpen: false,
    versionMs: 1,
    ...changes,
  }
}

const query = (text: string, changes: Partial<UserQuery> = {}): UserQuery => ({
  text,
  searcher,
  space: { kind: 'open' },
  size: 15,
  ...changes,
})

/** What every user search does. `settle` waits until what was indexed can be found. */
export function searchContract(
  open: () => Promise<UserSearch>,
  settle: (search: UserSearch) => Promise<void> = () => Promise.resolve(),
): void {
  const names = async (search: UserSearch, given: UserQuery): Promise<string[]> => {
    await settle(search)
    return (await search.find(given)).documents.map(({ name }) => name)
  }

  describe('user search', () => {
    it('finds words by their beginning, in name and handle, without regard to case and marks', async () => {
      await using search = await open()
      await search.index([
        document({ name: 'Zoë Müller' }),
        document({ name: 'Bob', handle: 'zoefan' }),
        document({ name: 'Azoe' }),
      ])
      expect((await names(search, query('zoe'))).toSorted()).toEqual(['Bob', 'Zoë Müller'])
      expect(await names(search, query('MULL zo'))).toEqual(['Zoë Müller'])
      expect(await names(search, query('ZOË müllers'))).toEqual([])
      for (const text of ['', '   ', '"*', ') OR (', "'; --"]) {
        expect(await names(search, query(text)), text).toEqual([])
      }
    })

    it('says whether it has to be filled', async () => {
      await using search = await open()
      expect(await search.isEmpty()).toBe(true)
      await search.index([document({ name: 'first' })])
      await settle(search)
      expect(await search.isEmpty()).toBe(false)
    })

    it('finds words with dots, dashes and underscores, and names of several scripts', async () => {
      await using search = await open()
      await search.index([
        document({ name: 'Ольга Anders-Kaas', handle: 'o_l.ga-1' }),
        document({ name: 'Łukasz Groß' }),
        document({ name: 'ﬁnn Ⅳ' }),
      ])
      const first = ['Ольга Anders-Kaas']
      for (const text of ['ольга', 'o_l.ga', 'o_l.ga-1', 'anders-k', 'ОЛЬГА anders']) {
        expect(await names(search, query(text)), text).toEqual(first)
      }
      expect(await names(search, query('lukasz gross'))).toEqual(['Łukasz Groß'])
      expect(await names(search, query('finn iv'))).toEqual(['ﬁnn Ⅳ'])
    })

    it('takes any text and any page token', async () => {
      await using search = await open()
      await search.index([document({ name: 'kaya' })])
      await settle(search)
      for (const text of ['\0', '\\', '{"a":1}', '*', 'a'.repeat(5000), '👩‍👩‍👧', 'kaya '.repeat(50)]) {
        expect((await search.find(query(text))).documents.length, text).toBeLessThanOrEqual(1)
      }
      for (const page of ['', '!', 'WzEsMl0', 'bnVsbA', '9'.repeat(300)]) {
        const hits = await search.find(query('kaya', { page }))
        expect(hits.documents.length, page).toBeLessThanOrEqual(1)
      }
    })

    it('gives documents back as they were indexed, and keeps them to the letter', async () => {
      await using search = await open()
      const given = document({
        name: 'Levin "L" <b>',
        handle: 'levin',
        accentId: 7,
        team: teamA,
        type: 'app',
        isInboundOpen: true,
        versionMs: 1_760_000_000_123,
      })
      await search.index([given])
      await settle(search)
      expect((await search.find(query('levin'))).documents).toEqual([given])
      await search.index([given])
      await search.index([])
      await search.remove([])
      await search.remove([userId(123_456_789), given.user])
      await search.remove([given.user])
      expect(await names(search, query('levin'))).toEqual([])
    })

    it('takes many documents at once', async () => {
      await using search = await open()
      const many = Array.from({ length: 1200 }, (_, i) => document({ name: `milo ${i}` }))
      await search.index(many)
      await settle(search)
      expect((await search.find(query('milo'))).found).toBe(1200)
      await search.remove(many.map(({ user }) => user))
      await settle(search)
      expect((await search.find(query('milo'))).found).toBe(0)
    }, 60_000)

    it('ranks a handle above a name, and leaves out the searcher', async () => {
      await using search = await open()
      await search.index([
        document({ name: 'anna in the name' }),
        document({ name: 'Other', handle: 'anna' }),
        document({ name: 'anna myself', user: searcher }),
      ])
      expect(await names(search, query('anna'))).toEqual(['Other', 'anna in the name'])
    })

    it('leaves out who is not active, not searchable, or of another type', async () => {
      await using search = await open()
      await search.index([
        document({ name: 'carol gone', isActive: false }),
        document({ name: 'carol hidden', isSearchable: false }),
        document({ name: 'carol app', type: 'app' }),
        document({ name: 'carol' }),
      ])
      expect((await names(search, query('carol'))).toSorted()).toEqual(['carol', 'carol app'])
      expect(await names(search, query('carol', { type: 'app' }))).toEqual(['carol app'])
    })

    it('keeps to the space: own team, or everybody that allows it', async () => {
      await using search = await open()
      await search.index([
        document({ name: 'dora free' }),
        document({ name: 'dora a', team: teamA }),
        document({ name: 'dora b', team: teamB }),
        document({ name: 'dora b open', team: teamB, isInboundOpen: true }),
      ])
      const inSpace = async (space: UserQuery['space']) =>
        (await names(search, query('dora', { space }))).toSorted()
      expect(await inSpace({ kind: 'own-team', team: teamA })).toEqual(['dora a'])
      expect(await inSpace({ kind: 'open', team: teamA })).toEqual([
        'dora a',
        'dora b open',
        'dora free',
      ])
      expect(await inSpace({ kind: 'open' })).toEqual(['dora b open', 'dora free'])
    })

    it('replaces older documents only by newer ones, and forgets', async () => {
      await using search = await open()
      const first = document({ name: 'erin', versionMs: 10 })
      await search.index([first])
      await search.index([{ ...first, name: 'frank', versionMs: 20 }])
      await search.index([{ ...first, name: 'grace', versionMs: 15 }])
      expect(await names(search, query('erin'))).toEqual([])
      expect(await names(search, query('grace'))).toEqual([])
      expect(await names(search, query('frank'))).toEqual(['frank'])
      await search.remove([first.user])
      expect(await names(search, query('frank'))).toEqual([])
    })

    it('gives pages that together hold each hit once', async () => {
      await using search = await open()
      await search.index(Array.from({ length: 7 }, (_, i) => document({ name: `henry ${i}` })))
      await settle(search)
      const seen: string[] = []
      let page: string | undefined
      do {
        const hits = await search.find(query('henry', { size: 3, page }))
        expect(hits.documents.length).toBeLessThanOrEqual(3)
        expect(hits.found).toBe(7)
        seen.push(...hits.documents.map(({ name }) => name))
        page = hits.next
      } while (page !== undefined)
      expect(seen.toSorted()).toEqual(Array.from({ length: 7 }, (_, i) => `henry ${i}`))
    })
  })
}
