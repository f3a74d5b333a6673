import { mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  formatPrivateKeys,
  formatPublicKeys,
  generatePrivateKey,
  loadOrCreatePrivateKeys,
  parsePrivateKeys,
  parsePublicKeys,
  publicKeyOf,
} from './keys.ts'

/** RFC 8032 §7.1, test 1. */
const seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'
const publicKey = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'

describe('keys as text', () => {
  it('are the seeds and public keys of RFC 8032', () => {
    const [key] = parsePrivateKeys(Buffer.from(seed, 'hex').toString('base64url'))
    const text = key ? formatPublicKeys([publicKeyOf(key)]) : ''
    expect(Buffer.from(text, 'base64url').toString('hex')).toBe(publicKey)
  })

  it('come back as they were, in their order', () => {
    const keys = [generatePrivateKey(), generatePrivateKey(), generatePrivateKey()]
    const read = parsePrivateKeys(formatPrivateKeys(keys))
    expect(read.map((key, index) => key.equals(keys[index] ?? key))).toEqual([true, true, true])
    const publicKeys = keys.map(publicKeyOf)
    expect(formatPublicKeys(parsePublicKeys(formatPublicKeys(publicKeys)))).toBe(
      formatPublicKeys(publicKeys),
    )
  })

  it("are read as upstream's tools write them, seed and public key together", () => {
    const line = Buffer.from(seed + publicKey, 'hex').toString('base64')
    const [key] = parsePrivateKeys(`${line}\r\n`)
    expect(formatPrivateKeys(key ? [key] : [])).toBe(
      `${Buffer.from(seed, 'hex').toString('base64url')}\n`,
    )
  })

  it.each(['', 'secret', `${Buffer.alloc(33).toString('base64url')}\n`])(
    'are refused by line, without being quoted: %j',
    (bad) => {
      const text = `${formatPrivateKeys([generatePrivateKey()])}${bad}x`
      expect(() => parsePrivateKeys(text)).toThrow(/^line 2 is not an Ed25519 key$/)
      expect(() => parsePublicKeys(bad)).toThrow(/^line 1 is not an Ed25519 key$/)
    },
  )
})

describe('the file of private keys', () => {
  it('is made once, for its owner only, and read from then on', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'keys-'))
    const path = join(folder.path, 'zauth.keys')
    const made = await loadOrCreatePrivateKeys(path)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder.path)).toEqual(['zauth.keys'])
    const read = await loadOrCreatePrivateKeys(path)
    expect(formatPrivateKeys(read)).toBe(formatPrivateKeys(made))
    expect(await readFile(path, 'utf8')).toBe(formatPrivateKeys(made))
  })

  it('holds the key of the first when two make it at once', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'keys-'))
    const path = join(folder.path, 'zauth.keys')
    const both = await Promise.all([loadOrCreatePrivateKeys(path), loadOrCreatePrivateKeys(path)])
    const [one, other] = both.map((keys) => formatPrivateKeys(keys))
    expect(one).toBe(other)
  })

  it('is never replaced when it cannot be read', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'keys-'))
    const path = join(folder.path, 'zauth.keys')
    await writeFile(path, 'damaged')
    await expect(loadOrCreatePrivateKeys(path)).rejects.toThrow('line 1')
    expect(await readFile(path, 'utf8')).toBe('damaged')
  })
})
