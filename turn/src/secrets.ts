import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ConfigError, type Config } from './config.ts'
import type { Secrets } from './handlers/users.ts'

/** Reads every file with a secret. Rejects with ConfigError, which names each file that is no good. */
export async function readSecrets(config: Config, source: string): Promise<Secrets> {
  const problems: string[] = []
  async function read(path: string, setting: string): Promise<string> {
    try {
      const text = (await readFile(path, 'utf8')).trim()
      if (text === '') problems.push(`${setting}: ${path} is empty`)
      return text
    } catch (error) {
      problems.push(`${setting}: ${error instanceof Error ? error.message : String(error)}`)
      return ''
    }
  }
  const { wire, rest, static: users } = config.credentials
  const readAll = (files: readonly string[] = [], setting: string): Promise<Buffer[]> =>
    Promise.all(files.map(async (path) => Buffer.from(await read(path, setting))))
  const secrets: Secrets = {
    wire: await readAll(wire?.secretFiles, 'credentials.wire.secretFiles'),
    rest: await readAll(rest?.secretFiles, 'credentials.rest.secretFiles'),
    static: await Promise.all(
      users.map(async ({ username, passwordFile }) => ({
        username,
        password: await read(passwordFile, 'credentials.static'),
      })),
    ),
  }
  if (problems.length > 0) throw new ConfigError(source, problems)
  return secrets
}

/** The key of nonces and tokens. Rejects with ConfigError. */
export async function readNonceKey(config: Config, source: string): Promise<Uint8Array> {
  if (config.nonceKeyFile === undefined) return randomBytes(32)
  try {
    const text = (await readFile(config.nonceKeyFile, 'utf8')).trim()
    if (text.length >= 16) return Buffer.from(text)
  } catch (error) {
    throw new ConfigError(source, [
      `nonceKeyFile: ${error instanceof Error ? error.message : String(error)}`,
    ])
  }
  throw new ConfigError(source, ['nonceKeyFile: needs at least 16 characters'])
}
