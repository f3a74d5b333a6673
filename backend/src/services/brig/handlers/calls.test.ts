import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PeopleConfig } from '../people-config.ts'
import { startTestPeople } from '../test-people.ts'
import { openTurn } from '../turn.ts'

const uris = [
  'turn:one.example:3478?transport=udp',
  'turn:one.example:3478?transport=tcp',
  'turns:one.example:5349?transport=tcp',
  'turn:two.example:3478',
]
let folder: string
let secretFile: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tricord-turn-'))
  secretFile = join(folder, 'secret')
  await writeFile(secretFile, 'shared secret\n')
})
afterAll(() => rm(folder, { recursive: true }))

describe('the configuration of calls', () => {
  it('says so when there is no relay', async () => {
    await using brig = await startTestPeople()
    const alice = await brig.addUser()
    const reply = await brig.call('GET', '/calls/config/v2', { as: alice })
    expect(reply.body).toMatchObject({ code: 404, label: 'not-found' })
    expect(reply.body.message).toMatch(/relay/)
  })

  it.each([8, 15])(
    'gives each relay with a credential for six hours, in version %i',
    async (version) => {
      const turn = { kind: 'static', uris, secretFile }
      await using brig = await startTestPeople({ config: { turn } })
      const alice = await brig.addUser()
      const { body } = await brig.call('GET', '/calls/config/v2', { as: alice, version })
      expect(body.ttl).toBe(3600)
      const servers = body.ice_servers as { urls: string[]; username: string; credential: string }[]
      expect(servers.flatMap(({ urls }) => urls).toSorted()).toEqual(uris.toSorted())
      for (const { urls, username, credential } of servers) {
        expect(urls).toHaveLength(1)
        const expires = Math.floor(brig.clock.nowMs() / 1000) + 21_600
        expect(username).toMatch(
          new RegExp(String.raw`^d=${String(expires)}\.v=1\.k=0\.t=s\.r=[a-z]+$`),
        )
        const expected = createHmac('sha512', 'shared secret').update(username).digest('base64')
        expect(credential).toBe(expected)
      }
    },
  )

  it('keeps to a limit, by UDP, TLS and TCP in turns', async () => {
    const turn = { kind: 'static', uris, secretFile }
    await using brig = await startTestPeople({ config: { turn } })
    const alice = await brig.addUser()
    const ask = (limit: string) =>
      brig.call('GET', `/calls/config/v2?limit=${limit}`, { as: alice })
    const three = await ask('3')
    const given = (three.body.ice_servers as { urls: string[] }[]).flatMap(({ urls }) => urls)
    expect(given).toContain(uris[1])
    expect(given).toContain(uris[2])
    expect(given).toHaveLength(3)
    for (const limit of ['0', '11', 'x']) expect((await ask(limit)).status).toBe(400)
  })
})

describe('relays in the configuration', () => {
  it.each(['http://one.example', 'turn:one.example', 'turn:one.example:3478?transport=sctp', ''])(
    'must be addresses of relays: %s',
    (uri) => {
      const turn = { kind: 'static', uris: [uri], secretFile }
      expect(PeopleConfig.safeParse({ turn }).success).toBe(false)
    },
  )

  it('need a secret', async () => {
    const empty = join(folder, 'empty')
    await writeFile(empty, '\n')
    await expect(openTurn({ kind: 'static', uris, secretFile: empty })).rejects.toThrow(/no secret/)
    const absent = join(folder, 'absent')
    await expect(openTurn({ kind: 'static', uris, secretFile: absent })).rejects.toThrow(/ENOENT/)
  })
})
