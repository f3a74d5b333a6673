import { createHash, timingSafeEqual } from 'node:crypto'
import type { ConversationCodeInfo } from '../../../contract/events/conversation.ts'
import type { AccessRole } from '../../../contract/galley/conversation-fields.ts'
import type { ConversationId } from '../../../contract/ids.ts'

/** Random bytes in a code. */
export const codeBytes = 15

/** The public half of a guest link; it stays the same for a conversation. */
export const codeKey = (conversation: ConversationId): string =>
  createHash('sha256').update(conversation).digest().subarray(0, 15).toString('base64url')

/** Guest links make sense only where outsiders may be. */
export const admitsOutsiders = (roles: readonly AccessRole[]): boolean =>
  roles.includes('guest') || roles.includes('non_team_member')

/** In a time that tells nothing about the first character that differs. */
export function isSameCode(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(left), digest(right))
}

export function codeInfo(
  uriPrefix: string,
  link: { key: string; code: string; passwordHash?: string | undefined },
): ConversationCodeInfo {
  const uri = new URL(uriPrefix)
  uri.searchParams.set('key', link.key)
  uri.searchParams.set('code', link.code)
  return {
    key: link.key,
    code: link.code,
    uri: uri.href,
    has_password: link.passwordHash !== undefined,
  }
}
