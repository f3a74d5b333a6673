import { afterEach, beforeEach, expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { newId, startTestPeople, type TestPeople } from '../test-people.ts'

let brig: TestPeople
let alice: UserId
let bob: UserId
beforeEach(async () => {
  brig = await startTestPeople()
  alice = await brig.addUser({ name: 'Alice' })
  bob = await brig.addUser()
})
afterEach(() => brig[Symbol.asyncDispose]())

const ask = (path: string, body: unknown) => brig.call('POST', path, { as: alice, body })

it('tells other services what users are, leaving out those it does not know', async () => {
  const gone = await brig.addUser({ status: 'deleted' })
  const { body } = await ask('/i/users/summaries', { users: [alice, newId(), gone] })
  expect(body.users).toEqual([
    { id: alice, name: 'Alice', status: 'active', type: 'regular', isActivated: true },
    { id: gone, name: 'Somebody', status: 'deleted', type: 'regular', isActivated: true },
  ])
})

it('tells who is connected, and only by accepted connections', async () => {
  const carol = await brig.addUser()
  await brig.connect(alice, bob)
  await brig.call('POST', `/connections/${brig.domain}/${carol}`, { as: alice })
  const others = [bob, carol, newId()]
  expect((await ask('/i/users/connected', { user: alice, others })).body).toEqual({
    connected: [bob],
  })
  expect((await ask('/i/users/contacts', { user: alice })).body).toEqual({ contacts: [bob] })
  expect((await ask('/i/users/contacts', { user: bob })).body).toEqual({ contacts: [alice] })
  expect(await brig.people.listContacts(alice)).toEqual([bob])
})

it('tells whether a device exists and what it can do', async () => {
  const plain = await brig.addClient(alice)
  const able = await brig.addClient(alice, { capabilities: ['consumable-notifications'] })
  const summary = async (client: string) =>
    (await ask('/i/users/client', { user: alice, client })).body as unknown
  expect(await summary(plain)).toEqual({ exists: true, isAcknowledging: false })
  expect(await summary(able)).toEqual({ exists: true, isAcknowledging: true })
  expect(await summary('abc')).toEqual({ exists: false, isAcknowledging: false })
  expect(await brig.people.hasClient(alice, plain)).toBe(true)
  expect(await brig.people.hasClient(bob, plain)).toBe(false)
})
