import { readFile } from 'node:fs/promises'
import type { PeopleConfig } from './people-config.ts'

/** The relays that are handed out, and the secret that is shared with them. */
export interface Turn {
  uris: readonly string[]
  secret: Uint8Array
}

/** Reads the secret; undefined when there are no relays. Rejects when the file gives none. */
export async function openTurn(config: PeopleConfig['turn']): Promise<Turn | undefined> {
  if (config.kind === 'none') return undefined
  const secret = (await readFile(config.secretFile, 'utf8')).trim()
  if (secret === '') throw new Error(`${config.secretFile} holds no secret`)
  return { uris: config.uris, secret: Buffer.from(secret) }
}
