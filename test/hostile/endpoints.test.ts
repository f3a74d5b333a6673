import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { keptSeeds } from '../fuzz/seeds.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { publicEndpoints } from './endpoints.ts'
import { senderTo, type Sender } from './http.ts'
import { answersAsDeclared, faultsOf } from './judge.ts'
import { hostileRequest } from './requests.ts'
import { cheapPasswords, isIntact, newWorld, tokensOf, type World } from './world.ts'

let server: TestServer
let sender: Sender
let world: World
beforeAll(async () => {
  server = await startTestServer({}, cheapPasswords)
  sender = senderTo(server.url)
  world = await newWorld(server)
})
beforeEach(async () => {
  if (!(await isIntact(world))) world = await newWorld(server)
})
afterAll(async () => {
  await sender[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

describe('a hostile request gets a declared answer from', () => {
  it.each(publicEndpoints)('$name', async ({ name, declaration }) => {
    const property = answersAsDeclared({ declaration, world, tokens: tokensOf(world) }, sender)
    await fc.assert(property, { seed: 20_260_310, numRuns: 40 })
    for (const { seed, path } of await keptSeeds(name)) {
      await fc.assert(property, { seed, path, endOnFailure: true })
    }
  })
})

it('hostile requests all at once, in any order, get declared answers too', async () => {
  const tokens = tokensOf(world)
  const requests = publicEndpoints.flatMap(({ name, declaration }) =>
    fc
      .sample(hostileRequest({ declaration, world, tokens }), { seed: 20_260_313, numRuns: 12 })
      .map((request) => ({ name, declaration, request })),
  )
  // By a hash of the place, so that neighbours are of different endpoints, the same in each run.
  const shuffled = requests
    .map((each, index) => ({ each, place: (index * 7919) % requests.length }))
    .toSorted((a, b) => a.place - b.place)
  const queue = shuffled.values()
  const faults: string[] = []
  const worker = async (): Promise<void> => {
    for (const { each } of queue) {
      const { name, declaration, request } = each
      const answer = await crowd.send(request)
      for (const fault of faultsOf(answer, declaration.method, declaration)) {
        faults.push(`${name}: ${fault}: ${fc.stringify(request)}`)
      }
    }
  }
  await using crowd = senderTo(server.url, { connections: 32 })
  await Promise.all(Array.from({ length: 32 }, worker))
  expect(faults).toEqual([])
})
