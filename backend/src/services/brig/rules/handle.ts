import { Handle } from '../../../contract/brig/user-fields.ts'

/** Names that would let somebody pass for the server or its operator. */
const reserved = new Set([
  'abuse',
  'account',
  'accounts',
  'admin',
  'administrator',
  'all',
  'anonymous',
  'api',
  'bot',
  'contact',
  'everyone',
  'feedback',
  'guest',
  'help',
  'helpdesk',
  'here',
  'hostmaster',
  'info',
  'legal',
  'mail',
  'mailer-daemon',
  'moderator',
  'news',
  'noreply',
  'no-reply',
  'official',
  'operator',
  'postmaster',
  'privacy',
  'root',
  'security',
  'service',
  'staff',
  'support',
  'sysadmin',
  'system',
  'team',
  'tricord',
  'webapp',
  'webmaster',
  'wire',
  'wirebot',
  'www',
])

/** Undefined when the text has not the form of a handle. */
export const parseHandle = (text: string): Handle | undefined => Handle.safeParse(text).data

/** Nobody can claim it, and it counts as taken. */
export const isReserved = (handle: Handle): boolean => reserved.has(handle)
