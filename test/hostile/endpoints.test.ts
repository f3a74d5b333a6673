import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest'
import { keptSeeds } from '../fuzz/seeds.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { publicEndpoints } from './endpoints.ts'
import { senderTo, type Sender } from './http.ts'
import { answersAsDeclared } from './judge.ts'
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
