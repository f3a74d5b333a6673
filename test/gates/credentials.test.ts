import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EndpointDeclaration } from '../../backend/src/contract/endpoint.ts'
import { newestVersion, oldestVersion } from '../../backend/src/contract/endpoint.ts'
import { publicApis } from '../../backend/src/contract/public.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const endpoints = Object.values(publicApis)
  .flat()
  .flatMap((api) => Object.entries(api as Readonly<Record<string, EndpointDeclaration>>))

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

/** A path that matches the declaration; what stands in it does not matter before the token. */
const pathOf = ({ path, versions }: EndpointDeclaration): string =>
  `/v${String(Math.min(versions.last, newestVersion))}${path.replaceAll(/\{[^}]+\}/g, 'x')}`

async function call(
  endpoint: EndpointDeclaration,
  token: string | undefined,
): Promise<{ status: number; label: string | undefined }> {
  const response = await fetch(`${server.url}${pathOf(endpoint)}`, {
    method: endpoint.method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  })
  const text = await response.text()
  const body = text === '' ? undefined : (JSON.parse(text) as { label?: string })
  return { status: response.status, label: body?.label }
}

describe('every endpoint for users', () => {
  const guarded = endpoints.filter(([, { auth }]) => auth === 'user')
  it('refuses a missing, malformed, forged and wrong kind of token', async () => {
    expect(guarded.length).toBeGreaterThan(50)
    const forged = `${'A'.repeat(86)}==.v=1.k=1.d=99999999999.t=a.l=.u=11111111-1111-4111-8111-111111111111.c=1`
    for (const [name, endpoint] of guarded) {
      for (const token of [undefined, 'nonsense', forged]) {
        const { status } = await call(endpoint, token)
        expect(status, `${name} with ${String(token)}`).toBe(401)
      }
    }
  })
})

describe('the internal endpoints', () => {
  it('cannot be reached from outside, with or without a version', async () => {
    for (const prefix of ['', `/v${String(oldestVersion)}`, `/v${String(newestVersion)}`]) {
      for (const path of ['/i/status', '/i/metrics', '/i/push/v2', '/i/users/summaries']) {
        for (const method of ['GET', 'POST']) {
          const response = await fetch(`${server.url}${prefix}${path}`, { method })
          expect(response.status, `${method} ${prefix}${path}`).toBe(404)
          await response.arrayBuffer()
        }
      }
    }
  })

  it('do not believe identity headers that a client sends', async () => {
    const response = await fetch(`${server.url}/v15/self`, {
      headers: { 'z-user': '11111111-1111-4111-8111-111111111111', 'z-connection': '1' },
    })
    expect(response.status).toBe(401)
  })
})
