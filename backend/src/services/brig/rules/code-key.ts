import { createHash } from 'node:crypto'
import type { Email } from '../../../contract/brig/user-fields.ts'
import type { UserId } from '../../../contract/ids.ts'
import { emailKey } from './email-address.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** What stands for an e-mail address in links: base64url of SHA-256 of it in lower case. */
export const keyOfEmail = (email: Email): string => sha256(emailKey(email))

/** What stands for an account in links. */
export const keyOfUser = (user: UserId): string => sha256(user)

/** Some clients send base64 with padding. */
export const normalizeKey = (key: string): string => key.replace(/={0,2}$/, '')
