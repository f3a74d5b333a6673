import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ClientId, ConnectionId, UserId } from '../../backend/src/contract/ids.ts'
import {
  generatePrivateKey,
  loadOrCreatePrivateKeys,
} from '../../backend/src/platform/zauth/keys.ts'
import {
  createSigner,
  type TokenSigner,
  type UnsignedToken,
} from '../../backend/src/platform/zauth/signer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { prefixOf, publicEndpoints } from './endpoints.ts'
import { connectRaw, senderTo, type Sender } from './http.ts'
import { faultsOf } from './judge.ts'
import { cheapPasswords, newWorld, type World } from './world.ts'

let server: TestServer
let sender: Sender
let world: World
let ours: TokenSigner
beforeAll(async () => {
  server = await startTestServer({}, cheapPasswords)
  sender = senderTo(server.url)
  world = await newWorld(server)
  const keys = await loadOrCreatePrivateKeys(join(server.config.data, 'zauth.keys'))
  ours = createSigner({ privateKeys: keys })
})
afterAll(async () => {
  await sender[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const inAnHour = Math.floor(Date.now() / 1000) + 3600
const anHourAgo = inAnHour - 7200

function access(changes: Partial<UnsignedToken> = {}): UnsignedToken {
  return {
    type: 'access',
    expiresAtSeconds: inAnHour,
    isSession: false,
    user: world.alice.user.id as UserId,
    client: (world.alice.device ?? '') as ClientId,
    connection: '1' as ConnectionId,
    ...changes,
  } as UnsignedToken
}

/** Every way in which a token can fail to be a user's access token, with the right answer. */
function badTokens(): (readonly [name: string, token: string, status: 401 | 403])[] {
  const foreign = createSigner({ privateKeys: [generatePrivateKey()] })
  const secondKey = createSigner({ privateKeys: [generatePrivateKey(), generatePrivateKey()] })
  const good = ours.sign(access())
  const other = { expiresAtSeconds: inAnHour, isSession: false } as const
  const user = world.alice.user.id as UserId
  const uuid = world.group.id
  return [
    ['of another server', foreign.sign(access()), 401],
    ['of a key that we do not have', secondKey.sign(access()), 401],
    ['expired', ours.sign(access({ expiresAtSeconds: anHourAgo })), 401],
    ['with another user put in', good.replace(user, world.bob.user.id), 401],
    ['with a later expiry put in', good.replace(String(inAnHour), String(inAnHour + 1)), 401],
    ['with its signature cut', good.slice(1), 401],
    ['with no signature', good.slice(good.indexOf('.') + 1), 401],
    ['with a signature of nothing', `${'A'.repeat(86)}==${good.slice(88)}`, 401],
    ['twice', `${good}${good}`, 401],
    ['with a space in it', `${good} x`, 401],
    ['with a field more', `${good}.x=1`, 401],
    ['of a cookie', ours.sign({ ...other, type: 'user', user, random: 1 }), 403],
    ['of a legal-hold device', ours.sign(access({ type: 'legalhold-access' })), 403],
    ['of a provider', ours.sign({ ...other, type: 'provider', provider: uuid }), 403],
    [
      'of a bot',
      ours.sign({
        ...other,
        type: 'bot',
        provider: uuid,
        bot: uuid,
        conversation: uuid as never,
      }),
      403,
    ],
  ]
}

describe('a token that is no access token of a user', () => {
  it('is refused by every endpoint for users, wherever it stands', async () => {
    const guarded = publicEndpoints.filter(({ declaration }) => declaration.auth === 'user')
    for (const [kind, token, status] of badTokens()) {
      for (const { name, declaration } of guarded) {
        const path = `${prefixOf(declaration)}${declaration.path.replaceAll(/\{[^}]+\}/g, 'x')}`
        const { method } = declaration
        const inHeader = await sender.send({
          method,
          target: path,
          headers: { authorization: `Bearer ${token}` },
        })
        const inQuery = await sender.send({
          method,
          target: `${path}?access_token=${encodeURIComponent(token)}`,
          headers: {},
        })
        for (const answer of [inHeader, inQuery]) {
          expect(answer.status, `${name} with a token ${kind}`).toBe(status)
          expect(faultsOf(answer, method)).toEqual([])
        }
      }
    }
  })

  it('opens no socket', async () => {
    for (const [kind, token, status] of badTokens()) {
      // A legal-hold device may listen.
      if (kind === 'of a legal-hold device') continue
      for (const path of ['/await', '/websocket', '/v15/await', '/v15/events']) {
        await using connection = await connectRaw(server.url)
        connection.write(
          [
            `GET ${path}?access_token=${encodeURIComponent(token)} HTTP/1.1`,
            'host: x',
            'connection: upgrade',
            'upgrade: websocket',
            'sec-websocket-version: 13',
            'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
            '\r\n',
          ].join('\r\n'),
        )
        const reply = await connection.receives(/\r\n\r\n\{.*\}/)
        expect(reply, kind).toMatch(new RegExp(`^HTTP/1\\.1 ${String(status)} `))
      }
    }
  })

  it('does not pass for a cookie, nor one cookie for that of another user', async () => {
    const { alice, bob } = world
    const cookie = bob.jar.headerFor('/access') ?? ''
    const zuid = cookie.slice('zuid='.length)
    expect(zuid.length).toBeGreaterThan(80)
    const forged: readonly (readonly [name: string, headers: Record<string, string>])[] = [
      ['an access token as a cookie', { cookie: `zuid=${bob.token ?? ''}` }],
      [
        'a cookie that we never gave',
        {
          cookie: `zuid=${ours.sign({ type: 'user', expiresAtSeconds: inAnHour, isSession: false, user: bob.user.id as UserId, random: 1 })}`,
        },
      ],
      [
        'a cookie with another user put in',
        { cookie: `zuid=${zuid.replace(bob.user.id, alice.user.id)}` },
      ],
      [
        "a cookie with somebody else's token",
        { cookie, authorization: `Bearer ${alice.token ?? ''}` },
      ],
      ['a cookie with its own text as token', { cookie, authorization: `Bearer ${zuid}` }],
      ['a cookie with nonsense as token', { cookie, authorization: 'Bearer x' }],
      ['a cookie of another name', { cookie: `zuid2=${zuid}; xzuid=${zuid}` }],
      ['no cookie', { authorization: `Bearer ${bob.token ?? ''}` }],
    ]
    for (const [name, headers] of forged) {
      for (const [method, path] of [
        ['POST', '/access'],
        ['POST', '/access/logout'],
        ['PUT', '/access/self/email'],
      ] as const) {
        const body = Buffer.from('{"email":"new@example.org"}')
        const answer = await sender.send({
          method,
          target: path,
          headers: { 'content-type': 'application/json', ...headers },
          body,
        })
        expect(answer.status, `${method} ${path} with ${name}`).toBe(403)
        expect(JSON.parse(answer.text)).toMatchObject({ label: 'invalid-credentials' })
        expect(answer.headers['set-cookie']).toBeUndefined()
      }
    }
    await bob.access()
    await alice.access()
  })
})
