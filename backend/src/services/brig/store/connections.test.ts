import { afterEach, beforeEach, expect, it } from 'vitest'
import { openSqlite } from '../../../adapters/sqlite/wide-column.ts'
import type { ConversationId, UserId } from '../../../contract/ids.ts'
import { systemIds } from '../../../platform/ids.ts'
import { put, type WideColumnStore } from '../../../ports/wide-column.ts'
import { requestConnection, type ConnectionStep } from '../rules/connection.ts'
import {
  connectionListsTable,
  connectionsTable,
  connectionStore,
  type ConnectionStore,
} from './connections.ts'

let db: WideColumnStore
let connections: ConnectionStore
beforeEach(async () => {
  db = await openSqlite({ file: ':memory:' })
  await db.open([connectionsTable, connectionListsTable])
  connections = connectionStore(db)
})
afterEach(() => db[Symbol.asyncDispose]())

const newUser = () => systemIds().uuid() as UserId
const request = requestConnection(undefined) as ConnectionStep
const accept: ConnectionStep = {
  ...request,
  own: 'accepted',
  peer: 'accepted',
  effect: 'accept',
}

it('shows one connection from both sides', async () => {
  const users = [newUser(), newUser()]
  for (const [from = '' as UserId, to = '' as UserId] of [users, users.toReversed()]) {
    const taken = await connections.take(from, to, await connections.get(from, to), request, 7)
    expect(taken).toMatchObject({ own: { user: from, status: 'sent', changedMs: 7 } })
    expect(await connections.get(from, to)).toEqual(taken)
    const turned = await connections.get(to, from)
    expect(turned).toEqual({ ...taken, own: taken?.peer, peer: taken?.own })
    if (turned !== undefined) await connections.remove(turned)
  }
})

it('lets one of two steps win that follow from the same view', async () => {
  const [one, two] = [newUser(), newUser()]
  const first = await Promise.all([
    connections.take(one, two, undefined, request, 1),
    connections.take(two, one, undefined, request, 1),
  ])
  expect(first.filter((taken) => taken !== undefined)).toHaveLength(1)
  const seen = await connections.get(two, one)
  const second = await Promise.all([
    connections.take(two, one, seen, accept, 2),
    connections.take(one, two, await connections.get(one, two), accept, 2),
  ])
  expect(second.filter((taken) => taken !== undefined)).toHaveLength(1)
})

it('moves the time of those sides only that change', async () => {
  const [one, two] = [newUser(), newUser()]
  const sent = await connections.take(one, two, undefined, request, 1)
  const again = await connections.take(one, two, sent, { ...request, peer: 'ignored' }, 2)
  expect(again).toMatchObject({ own: { changedMs: 1 }, peer: { changedMs: 2 } })
})

it('crosses out an effect once, and not when the connection went on', async () => {
  const [one, two] = [newUser(), newUser()]
  const conversation = systemIds().uuid() as ConversationId
  const sent = await connections.take(one, two, undefined, request, 1)
  if (sent === undefined) throw new Error('not taken')
  expect(sent.unfinished).toEqual({ effect: 'request', actor: one, tellsPeer: true })
  await connections.finish(sent, conversation)
  const finished = await connections.get(two, one)
  expect(finished).toMatchObject({ conversation, unfinished: undefined })
  const accepted = await connections.take(two, one, finished, accept, 2)
  await connections.finish(sent, undefined)
  expect(await connections.get(two, one)).toEqual(accepted)
})

it('lists in pages, passing over what a crash left in the list', async () => {
  const user = newUser()
  const others = Array.from({ length: 5 }, newUser)
  for (const other of others) await connections.take(user, other, undefined, request, 1)
  const lost = newUser()
  await db.batch([put(connectionListsTable, { user, other: lost, addedMs: 1 })])
  const seen: UserId[] = []
  for (let after: UserId | undefined; ;) {
    const page = await connections.list(user, { after, limit: 2 })
    seen.push(...page.connections.map(({ peer }) => peer.user))
    if (!page.hasMore) break
    after = page.last
  }
  expect(seen).toEqual(others.toSorted())
  expect(await connections.listByStatus(user, ['sent'])).toHaveLength(5)
  expect(await connections.listByStatus(user, ['accepted'])).toEqual([])
})
