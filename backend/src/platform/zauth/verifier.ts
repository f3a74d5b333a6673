import { verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { parseToken } from './token.ts'
import type { Token, TokenType } from './token.ts'

type TokenOf<T extends TokenType, Kind extends Token = Token> = Kind extends Token
  ? [T & Kind['type']] extends [never]
    ? never
    : Kind
  : never

export type TokenVerdict<T extends TokenType> =
  | { readonly ok: true; readonly token: TokenOf<T> }
  | { readonly ok: false; readonly reason: 'malformed' | 'forged' | 'wrong-type' }
  /** Ours and of an expected type: renewing a session asks who held it. */
  | { readonly ok: false; readonly reason: 'expired'; readonly token: TokenOf<T> }

export interface TokenVerifier {
  /** Says only that we signed it and that its time has not come: not that a cookie still counts. */
  verify<const T extends TokenType>(text: string, expectedTypes: readonly T[]): TokenVerdict<T>
  /** How many tokens are remembered. */
  readonly remembered: number
}

/**
 * Checks tokens, and remembers those it found good until they expire: one Ed25519 check costs 60 µs,
 * and every request carries a token.
 *
 * @param publicKeys In the order of their index; all of them count.
 * @param cacheSize How many tokens to remember, each some 1 KB; the oldest give way.
 */
export function createVerifier(options: {
  publicKeys: readonly KeyObject[]
  nowSeconds: () => number
  cacheSize: number
}): TokenVerifier {
  const { publicKeys, nowSeconds, cacheSize } = options
  const genuine = new Map<string, Token>()

  function checkGenuine(text: string): Token | 'malformed' | 'forged' {
    const parsed = parseToken(text)
    if (parsed === undefined) return 'malformed'
    const { token, signed, signature } = parsed
    const publicKey = publicKeys[token.keyIndex - 1]
    if (publicKey === undefined) return 'forged'
    return verify(null, Buffer.from(signed), publicKey, signature) ? token : 'forged'
  }

  function remember(text: string, token: Token): void {
    genuine.set(text, token)
    if (genuine.size <= cacheSize) return
    const oldest = genuine.keys().next()
    if (!oldest.done) genuine.delete(oldest.value)
  }

  return {
    verify<const T extends TokenType>(text: string, expectedTypes: readonly T[]) {
      const known = genuine.get(text)
      const token = known ?? checkGenuine(text)
      if (typeof token === 'string') return { ok: false, reason: token }

      const isExpired = token.expiresAtSeconds !== 'never' && token.expiresAtSeconds < nowSeconds()
      if (isExpired) genuine.delete(text)
      else if (known === undefined) remember(text, token)

      if (!isOfType(token, expectedTypes)) return { ok: false, reason: 'wrong-type' }
      return isExpired ? { ok: false, reason: 'expired', token } : { ok: true, token }
    },
    get remembered() {
      return genuine.size
    },
  }
}

function isOfType<T extends TokenType>(token: Token, types: readonly T[]): token is TokenOf<T> {
  return (types as readonly TokenType[]).includes(token.type)
}
