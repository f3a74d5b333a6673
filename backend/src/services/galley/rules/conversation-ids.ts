import type { ConversationId, UserId } from '../../../contract/ids.ts'

/** The conversation of a user with itself has the user's id. */
export const selfConversationId = (user: UserId): ConversationId => user as string as ConversationId

/**
 * The conversation of two users of this backend, in either order: their version 4 UUIDs added in
 * words of 32 bits, with version and variant set again (Wire protocol notes §8.3).
 */
export function oneToOneConversationId(one: UserId, other: UserId): ConversationId {
  const left = wordsOf(one)
  const right = wordsOf(other)
  const sums = left.map((word, at) => (word + (right[at] ?? 0)) >>> 0)
  sums[1] = ((sums[1] ?? 0) & 0xffff0fff) | 0x4000
  sums[2] = ((sums[2] ?? 0) & 0x3fffffff) | 0x80000000
  const hex = sums.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') as ConversationId
}

function wordsOf(id: UserId): number[] {
  const hex = id.replaceAll('-', '')
  return [0, 8, 16, 24].map((at) => Number.parseInt(hex.slice(at, at + 8), 16))
}
