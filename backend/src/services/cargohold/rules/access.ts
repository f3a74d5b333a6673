import { createHash, timingSafeEqual } from 'node:crypto'
import type { QualifiedUserId } from '../../../contract/ids.ts'
import type { ObjectMetadata } from '../../../ports/objects.ts'

/*
 * What is kept with the content: who uploaded it, and the hash of the token that lets others read
 * it; no token hash means public. A leaked bucket listing then opens nothing.
 */

export function assetMetadata(owner: QualifiedUserId, token: string | undefined): ObjectMetadata {
  return {
    owner: `${owner.id}@${owner.domain}`,
    ...(token === undefined ? {} : { 'token-sha256': hash(token) }),
  }
}

/** Qualified ids are compared: another backend's user with the same id is somebody else. */
export function isOwner(metadata: ObjectMetadata, user: QualifiedUserId): boolean {
  return metadata['owner'] === `${user.id}@${user.domain}`
}

export function mayDownload(
  metadata: ObjectMetadata,
  user: QualifiedUserId,
  token: string | undefined,
): boolean {
  const wanted = metadata['token-sha256']
  if (wanted === undefined || isOwner(metadata, user)) return true
  return token !== undefined && timingSafeEqual(Buffer.from(wanted), Buffer.from(hash(token)))
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}
