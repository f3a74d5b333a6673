import { sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { formatToken } from './token.ts'
import type { Token } from './token.ts'

type WithoutKeyIndex<T> = T extends Token ? Omit<T, 'keyIndex'> : never

/** A token before it is signed; the signer says with which key. */
export type UnsignedToken = WithoutKeyIndex<Token>

export interface TokenSigner {
  /** The whole text, as it goes into a reply or a cookie. */
  sign(token: UnsignedToken): string
}

/**
 * @param keyIndex Which of the keys signs, counted from 1; the newest unless told otherwise.
 * @throws RangeError when there is no such key.
 */
export function createSigner(options: {
  privateKeys: readonly KeyObject[]
  keyIndex?: number
}): TokenSigner {
  const { privateKeys, keyIndex = privateKeys.length } = options
  const privateKey = privateKeys[keyIndex - 1]
  if (privateKey === undefined) throw new RangeError(`there is no signing key ${keyIndex}`)
  return {
    sign(token) {
      const signed = formatToken({ ...token, keyIndex })
      const signature = sign(null, Buffer.from(signed), privateKey)
      return `${signature.toString('base64url')}==.${signed}`
    },
  }
}
