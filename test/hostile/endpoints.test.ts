import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { publicEndpoints } from './endpoints.ts'
import { senderTo, type Sender } from './http.ts'
import { faultsOf } from './judge.ts'
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
  it.each(publicEndpoints)('$name', async ({ declaration }) => {
    const tokens = tokensOf(world)
    await fc.assert(
      fc.asyncProperty(hostileRequest({ declaration, world, tokens }), async (request) => {
        const answer = await sender.send(request)
        expect(faultsOf(answer, declaration.method, declaration)).toEqual([])
      }),
      { seed: 20_260_310, numRuns: 40 },
    )
  })
})
