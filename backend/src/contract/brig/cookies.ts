import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { Timestamp } from '../ids.ts'
import { Password, passwordErrors } from './password.ts'

/** Tells the sessions of a user apart; part of the cookie. */
export const CookieId = z.uint32()

export const CookieEntry = z.object({
  id: CookieId,
  type: z.enum(['session', 'persistent']),
  created: Timestamp,
  expires: Timestamp,
  label: z.string().optional(),
  /** The cookie that took its place. */
  successor: CookieId.optional(),
})

export const cookiesApi = {
  listCookies: endpoint({
    method: 'GET',
    path: '/cookies',
    versions: since(0),
    auth: 'user',
    summary: 'The sessions of the caller',
    query: z.object({
      /** Separated by commas. */
      labels: z.string().optional(),
    }),
    responses: { 200: z.object({ cookies: z.array(CookieEntry) }) },
    errors: [],
  }),
  removeCookies: endpoint({
    method: 'POST',
    path: '/cookies/remove',
    versions: since(0),
    isUnprefixed: true,
    auth: 'user',
    summary: 'End sessions by label or id; all of them when none is named',
    body: z.object({
      password: Password,
      labels: z.array(z.string()).max(1000).default([]),
      ids: z.array(CookieId).max(1000).default([]),
    }),
    responses: { 200: empty },
    errors: [passwordErrors.isWrong, passwordErrors.tooManyChecks],
  }),
}
