import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ConfigError, parseConfig, readConfig, resolveAddresses } from './config.ts'
import { readNonceKey, readSecrets } from './secrets.ts'
import { describeSettings } from './settings-text.ts'

const credentials = { wire: { secretFiles: ['/nowhere'] } }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'turn-config-'))
})
afterEach(() => rm(folder, { recursive: true }))

it('needs nothing but credentials', () => {
  const config = parseConfig({ credentials }, 'turn.yaml')
  expect(config).toMatchObject({
    listen: { addresses: 'auto', udpPort: 3478, tcpPort: 3478 },
    relay: { ports: { from: 32_768, to: 60_999, restSeconds: 120 } },
    realm: 'dummy.io',
    peers: { private: 'deny', loopbackForTests: false },
    limits: { allocationsPerUser: 32, bitsPerSecond: 10_000_000 },
    metrics: { address: '127.0.0.1', port: 9641 },
  })
})

it('reports every problem at once, with its path', () => {
  const attempt = (): unknown =>
    parseConfig(
      {
        listen: { addresses: ['0.0.0.0'], udpPort: 70_000, tls: { ports: [] } },
        relay: { ports: { from: 5000, to: 4000 }, colour: 'red' },
        peers: { allow: ['10.0.0.0/33', 'x'] },
        metrics: { address: 'here' },
        extra: 1,
      },
      'turn.yaml',
    )
  expect(attempt).toThrow(ConfigError)
  for (const problem of [
    /turn\.yaml is not valid/,
    /listen\.addresses\.0: must be one address of this host/,
    /listen\.udpPort: /,
    /listen\.tls\.ports: /,
    /listen\.tls\.certificateFile: /,
    /relay\.ports: "from" must be below "to"/,
    /relay\.colour: there is no such setting/,
    /peers\.allow\.0: is not an address or a network/,
    /peers\.allow\.1: /,
    /metrics\.address: is not an address/,
    /extra: there is no such setting/,
  ]) {
    expect(attempt).toThrow(problem)
  }
})

it.each([
  ['nobody could use', { credentials: {} }, /credentials: needs "wire", "rest" or "static"/],
  [
    'does not listen',
    { credentials, listen: { udpPort: 'off', tcpPort: 'off' } },
    /nothing listens/,
  ],
])('refuses a relay that %s', (_name, value, problem) => {
  expect(() => parseConfig(value, 'x')).toThrow(problem)
})

it('reads YAML, and says so when a file is absent or none', async () => {
  const path = join(folder, 'turn.yaml')
  await writeFile(path, 'credentials: { wire: { secretFiles: [/nowhere] } }\nrealm: example.org\n')
  expect((await readConfig(path)).realm).toBe('example.org')
  await writeFile(path, 'a: [1\n')
  await expect(readConfig(path)).rejects.toThrow(ConfigError)
  await expect(readConfig(join(folder, 'none'))).rejects.toThrow(/cannot be read/)
})

it('finds the addresses of the host, and refuses a mapping of another', () => {
  const listen = { addresses: ['10.0.0.5', '10.0.0.5', '2001:DB8::5'] }
  const config = parseConfig({ credentials, listen }, 'x')
  expect(resolveAddresses(config, 'x')).toEqual({
    listen: ['10.0.0.5', '2001:db8::5'],
    relay: ['10.0.0.5', '2001:db8::5'],
  })
  const relay = { external: { '10.0.0.6': '203.0.113.5' } }
  const wrong = parseConfig({ credentials, listen, relay }, 'x')
  expect(() => resolveAddresses(wrong, 'x')).toThrow(/relay\.external\.10\.0\.0\.6/)
})

it('trims secrets, and names each file that is no good', async () => {
  const good = join(folder, 'good')
  const empty = join(folder, 'empty')
  await writeFile(good, '  a secret of enough characters \n')
  await writeFile(empty, '\n')
  const at = (files: string[], nonceKeyFile = good) =>
    parseConfig({ credentials: { wire: { secretFiles: files } }, nonceKeyFile }, 'x')
  const secrets = await readSecrets(at([good]), 'x')
  expect(secrets.wire.map(String)).toEqual(['a secret of enough characters'])
  const read = readSecrets(at([empty, join(folder, 'none')]), 'x')
  await expect(read).rejects.toThrow(/ENOENT[^]*empty is empty|empty is empty[^]*ENOENT/)
  expect(String(await readNonceKey(at([good]), 'x'))).toBe('a secret of enough characters')
  await expect(readNonceKey(at([good], empty), 'x')).rejects.toThrow(/16 characters/)
})

it('explains every setting', () => {
  const text = describeSettings()
  for (const path of [
    'listen.udpPort (3478)',
    'limits.bitsPerSecond',
    'credentials.wire.secretFiles',
  ]) {
    expect(text).toContain(path)
  }
  const config = parseConfig({ credentials }, 'x')
  const pathsOf = (value: object, prefix: string): string[] =>
    Object.entries(value).flatMap(([key, inner]) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? pathsOf(inner as object, `${prefix}${key}.`)
        : [`${prefix}${key}`],
    )
  for (const path of pathsOf(config, '')) expect(text).toContain(path)
})
