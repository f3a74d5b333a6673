import { ConversationId } from '../../../contract/ids.ts'

/*
 * The state of a listing is the last id that was given out, so it stays good when conversations come
 * and go. The byte before it says in which list, for the day when there are conversations of other
 * backends. Base64url.
 */
const localList = 0

export function writePagingState(last: ConversationId | undefined): string {
  const id = Buffer.from((last ?? '').replaceAll('-', ''), 'hex')
  return Buffer.concat([Buffer.of(localList), id]).toString('base64url')
}

/** Undefined for a text that is not a state; `last` is undefined at the beginning. */
export function readPagingState(text: string): { last: ConversationId | undefined } | undefined {
  const bytes = Buffer.from(text, 'base64url')
  // The decoder passes over what it does not know.
  if (bytes.toString('base64url') !== text || bytes[0] !== localList) return undefined
  if (bytes.length === 1) return { last: undefined }
  const hex = bytes.subarray(1).toString('hex')
  const id = ConversationId.safeParse(
    hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  )
  return id.success ? { last: id.data } : undefined
}
