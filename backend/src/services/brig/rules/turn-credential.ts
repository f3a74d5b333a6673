import { createHash, createHmac } from 'node:crypto'
import type { UserId } from '../../../contract/ids.ts'

export interface TurnCredential {
  username: string
  /** Base64. */
  credential: string
}

/**
 * A name and password that a relay checks with nothing but the shared secret and its clock: the name
 * says when it ends and, in a way that does not tell who it is, whose it is. Wire protocol notes §13.
 */
export function turnCredential(
  user: UserId,
  secret: Uint8Array,
  expiresUnixSeconds: number,
): TurnCredential {
  const username = `d=${String(expiresUnixSeconds)}.v=1.k=0.t=s.r=${relayNameOf(user)}`
  const credential = createHmac('sha512', secret).update(username).digest('base64')
  return { username, credential }
}

/** 128 bits of a hash in letters; the first byte of the hash counts least. */
function relayNameOf(user: UserId): string {
  const hash = createHash('sha256')
    .update(Buffer.from(user.replaceAll('-', ''), 'hex'))
    .digest()
  return base26(BigInt(`0x${hash.subarray(0, 16).reverse().toString('hex')}`))
}

function base26(value: bigint): string {
  let text = ''
  let left = value
  do {
    text = String.fromCharCode(0x61 + Number(left % 26n)) + text
    left /= 26n
  } while (left > 0n)
  return text
}

/**
 * Some of the relays, in an order that leaves a client the best ways: in turns one by UDP, one by
 * TLS, one by TCP, as long as there are any.
 */
export function limitRelays(uris: readonly string[], limit: number): string[] {
  const kinds = [[], [], []] as [string[], string[], string[]]
  for (const uri of uris) kinds[relayKind(uri)].push(uri)
  const chosen: string[] = []
  for (let round = 0; chosen.length < Math.min(limit, uris.length); round += 1) {
    for (const kind of kinds) {
      const uri = kind[round]
      if (uri !== undefined) chosen.push(uri)
    }
  }
  return chosen.slice(0, limit)
}

function relayKind(uri: string): 0 | 1 | 2 {
  if (uri.startsWith('turns:')) return 1
  return uri.endsWith('?transport=tcp') ? 2 : 0
}
