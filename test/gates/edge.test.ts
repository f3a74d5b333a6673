import { globSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EndpointDeclaration } from '../../backend/src/contract/endpoint.ts'
import { publicEndpoints } from '../hostile/endpoints.ts'
import { connectRaw, senderTo, type Sender } from '../hostile/http.ts'
import { faultsOf } from '../hostile/judge.ts'
import { newUser } from '../hostile/world.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { startSplitProcesses, type SplitProcesses } from '../support/split-processes.ts'

let server: TestServer
let split: SplitProcesses
let sender: Sender
let token: string
beforeAll(async () => {
  ;[server, split] = await Promise.all([startTestServer(), startSplitProcesses()])
  sender = senderTo(server.url)
  token = (await newUser(server, 'visitor')).token ?? ''
})
afterAll(async () => {
  await sender[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await split[Symbol.asyncDispose]()
})

const isDeclaration = (value: unknown): value is EndpointDeclaration =>
  typeof value === 'object' && value !== null && 'auth' in value && 'path' in value

/** Every endpoint in the contract that only our own processes may call. */
async function internalEndpoints(): Promise<EndpointDeclaration[]> {
  const contract = join(import.meta.dirname, '../../backend/src/contract')
  const files = globSync('**/*.ts', { cwd: contract }).filter((file) => !file.includes('.test.'))
  const modules = await Promise.all(
    files.map(
      (file) =>
        import(pathToFileURL(join(contract, file)).href) as Promise<Record<string, unknown>>,
    ),
  )
  return modules
    .flatMap((module) => Object.values(module))
    .flatMap((api) => (typeof api === 'object' && api !== null ? Object.values(api) : []))
    .filter(isDeclaration)
    .filter(({ auth }) => auth === 'internal')
}

describe('the listener for clients', () => {
  it.each([
    ['of one process', () => server, () => server.url],
    ['of nginz', () => split, () => split.url],
    ['of cannon', () => split, () => split.ws],
  ])('%s has no internal path, however it is spelled and whoever asks', async (_, place, url) => {
    await using sender = senderTo(url())
    const { token } = await newUser(place(), 'visitor')
    const internal = await internalEndpoints()
    expect(internal.length).toBeGreaterThan(10)
    for (const { method, path } of internal) {
      expect(path).toMatch(/^\/i\//)
      const filled = path.replaceAll(/\{[^}]+\}/g, '11111111-1111-4111-8111-111111111111')
      for (const target of [
        filled,
        `/v8${filled}`,
        `/v15${filled}`,
        `/v0${filled}`,
        `/${filled}`,
        `/.${filled}`,
        `/v15/self/..${filled}`,
        `/v15/properties/..%2f..${filled}`,
        filled.replace('/i/', '/%69/'),
        filled.replace('/i/', '/v15/%69/'),
        filled.replace('/i/', '/I/'),
        filled.replace('/i/', '/i%2f'),
        `http://localhost${filled}`,
      ]) {
        const answer = await sender.send({
          method,
          target,
          headers: {
            authorization: `Bearer ${token ?? ''}`,
            'content-type': 'application/json',
            'z-user': '11111111-1111-4111-8111-111111111111',
            'z-connection': '1',
          },
          body: Buffer.from('{}'),
        })
        expect([404, 405], `${method} ${target}`).toContain(answer.status)
      }
    }
  })

  it('of cannon takes sockets and nothing else', async () => {
    await using sender = senderTo(split.ws)
    for (const { method, path, versions } of publicEndpoints.map(
      ({ declaration }) => declaration,
    )) {
      const target = `/v${String(Math.min(versions.last, 15))}${path.replaceAll(/\{[^}]+\}/g, 'x')}`
      expect(
        (await sender.send({ method, target, headers: {} })).status,
        `${method} ${target}`,
      ).toBe(404)
    }
  })

  it('is not opened by a service that no client calls', async () => {
    for (const name of ['brig', 'galley', 'gundeck', 'cargohold'] as const) {
      await expect(fetch(split.processes[name].url), name).rejects.toThrow('fetch failed')
      expect((await fetch(`${split.processes[name].internalUrl}/api-version`)).status).toBeLessThan(
        500,
      )
    }
  })

  it('tells in no reply how the server is made, and lets no browser guess a type', async () => {
    for (const { name, declaration } of publicEndpoints) {
      const { method, path, versions } = declaration
      const target = `/v${String(Math.min(versions.last, 15))}${path.replaceAll(/\{[^}]+\}/g, 'x')}`
      for (const headers of [{}, { authorization: `Bearer ${token}` }]) {
        const answer = await sender.send({ method, target, headers })
        expect(faultsOf(answer, method, declaration), name).toEqual([])
        expect(answer.headers['x-content-type-options'], name).toBe('nosniff')
        expect(answer.headers['request-id'], name).toMatch(/^[0-9a-f-]{36}$/)
        expect(answer.headers['access-control-allow-origin'], name).toBeUndefined()
      }
    }
  })
})

/** Targets that have taken one URL parser or another by surprise. */
const oddTargets = [
  '//',
  '///',
  '//x:y@z',
  '//[',
  'http://',
  'http://[',
  'http://[::1',
  'http://a:99999/',
  'http:///api-version',
  'x:y',
  '*',
  '/%',
  '/%ff',
  '/\\..\\',
  '/?%',
  '/;',
  '/api-version;x',
  '/api-version?__proto__=1',
  '/mails/%',
  '/mails?to=%ff',
  '/mails/__proto__',
]

describe('an odd request target', () => {
  it.each([
    ['clients', () => server.url],
    ['the operator', () => server.mailboxUrl],
  ] as const)('is answered by the listener for %s, which goes on', async (_, url) => {
    for (const target of oddTargets) {
      for (const method of ['GET', 'OPTIONS', 'DELETE', 'PROPFIND']) {
        await using connection = await connectRaw(url())
        connection.write(`${method} ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
        expect(await connection.ends(5_000), `${method} ${target}`).toBe(true)
        const [, status] = /^HTTP\/1\.1 (\d+) /.exec(connection.received()) ?? []
        expect(Number(status), `${method} ${target}`).toBeLessThan(500)
        expect(connection.received()).not.toMatch(/text\/html[^]*(Cannot|Error)/)
      }
    }
  })
})
