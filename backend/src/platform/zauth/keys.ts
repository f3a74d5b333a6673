import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { link, open, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/*
 * Ed25519 keys in text: one a line, the newest last, so that the index of a key never changes. A
 * private key is the base64url of its 32-byte seed, a public one of its 32 bytes. Lines of
 * upstream's tools, whose private keys are seed and public key together, are read too.
 */
const keyLengthBytes = 32

/** What stands before the seed in a PKCS #8 document (RFC 8410 §7, RFC 5958). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
/** What stands before the key in a SubjectPublicKeyInfo (RFC 8410 §4). */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')

export const generatePrivateKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey

export const publicKeyOf = (privateKey: KeyObject): KeyObject => createPublicKey(privateKey)

/** @throws Error naming the line that is no private key, without quoting it. */
export function parsePrivateKeys(text: string): KeyObject[] {
  return parseLines(text, (bytes) => {
    if (bytes.length !== keyLengthBytes && bytes.length !== 2 * keyLengthBytes) return undefined
    const key = Buffer.concat([pkcs8Prefix, bytes.subarray(0, keyLengthBytes)])
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  })
}

/** @throws Error naming the line that is no public key. */
export function parsePublicKeys(text: string): KeyObject[] {
  return parseLines(text, (bytes) => {
    if (bytes.length !== keyLengthBytes) return undefined
    const key = Buffer.concat([spkiPrefix, bytes])
    return createPublicKey({ key, format: 'der', type: 'spki' })
  })
}

function parseLines(text: string, parse: (bytes: Buffer) => KeyObject | undefined): KeyObject[] {
  const lines = text.trimEnd().split('\n')
  return lines.map((line, index) => {
    const key = parse(Buffer.from(line.trim(), 'base64url'))
    if (key === undefined) throw new Error(`line ${index + 1} is not an Ed25519 key`)
    return key
  })
}

export const formatPrivateKeys = (keys: readonly KeyObject[]): string =>
  formatLines(keys, (key) => key.export({ format: 'der', type: 'pkcs8' }))

export const formatPublicKeys = (keys: readonly KeyObject[]): string =>
  formatLines(keys, (key) => key.export({ format: 'der', type: 'spki' }))

/** Both documents end with the 32 bytes that matter. */
function formatLines(keys: readonly KeyObject[], toDer: (key: KeyObject) => Buffer): string {
  return keys
    .map((key) => `${toDer(key).subarray(-keyLengthBytes).toString('base64url')}\n`)
    .join('')
}

/**
 * The private keys in the file, which is made, readable by its owner only, with one new key when
 * there is none. A key that has been returned is on disk; of two processes that start at once, both
 * return the key of the first.
 */
export async function loadOrCreatePrivateKeys(path: string): Promise<KeyObject[]> {
  const existing = await readIfPresent(path)
  if (existing !== undefined) return parsePrivateKeys(existing)

  const draft = `${path}.${randomUUID()}.new`
  await writeFile(draft, formatPrivateKeys([generatePrivateKey()]), { mode: 0o600, flush: true })
  try {
    // A link appears whole or not at all, and never takes the place of a file that is there.
    await link(draft, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    await rm(draft)
  }
  await using folder = await open(dirname(path))
  await folder.sync()
  return parsePrivateKeys(await readFile(path, 'utf8'))
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined
