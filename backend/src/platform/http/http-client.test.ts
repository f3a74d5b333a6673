import { afterEach, beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import { empty, endpoint, since } from '../../contract/endpoint.ts'
import { ApiError, Unavailable, UnknownOutcome, kitErrors } from '../../contract/error.ts'
import type { ErrorDeclaration } from '../../contract/error.ts'
import { httpClient } from './http-client.ts'
import { sendError } from './reply.ts'
import { startServer, type RunningServer } from './server.ts'
import { fixedUpstream } from './upstream.ts'

const taken: ErrorDeclaration = { status: 409, label: 'taken', message: 'Somebody has it' }
const api = {
  claim: endpoint({
    method: 'POST',
    path: '/i/claim',
    versions: since(0),
    auth: 'internal',
    summary: 'Claim something',
    body: z.object({ name: z.string() }),
    responses: { 200: empty },
    errors: [taken],
  }),
}

let server: RunningServer
let answer: ErrorDeclaration
const claim = () =>
  httpClient(api, { upstream: fixedUpstream(server.url) }).claim({ body: { name: 'x' } })

beforeEach(async () => {
  server = await startServer({
    host: '127.0.0.1',
    port: 0,
    listener: (request, response) => {
      request.resume()
      sendError(response, new ApiError(answer))
    },
  })
})
afterEach(() => server.close(0))

it('throws what the endpoint declares', async () => {
  answer = taken
  await expect(claim()).rejects.toMatchObject({ declaration: taken })
})

it('does not hand on what is our own mistake as if it were that of our caller', async () => {
  for (const mistake of [kitErrors.badRequest, kitErrors.notFound, kitErrors.unauthorized]) {
    answer = mistake
    const error: unknown = await claim().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(ApiError)
    expect(String(error)).toContain(`claim was answered ${String(mistake.status)}`)
  }
})

it('tells a service that is overloaded from one that refuses', async () => {
  answer = kitErrors.unavailable
  await expect(claim()).rejects.toBeInstanceOf(Unavailable)
})

it('ends a call to an instance that hangs, without knowing what became of it', async () => {
  const told: unknown[] = []
  let hang = (): void => undefined
  const silent = await startServer({ host: '127.0.0.1', port: 0, listener: () => hang() })
  const client = httpClient(api, {
    upstream: {
      address: () => silent.url,
      begin(_, giveUp) {
        hang = () => giveUp(new Error('it hangs'))
        return (isAnswered) => void told.push(isAnswered)
      },
    },
  })
  await expect(client.claim({ body: { name: 'x' } })).rejects.toThrow(UnknownOutcome)
  expect(told).toEqual([false])
  await silent.close(0)
})
