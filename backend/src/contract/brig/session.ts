import { z } from 'zod'
import { errors } from '../error.ts'

/** What the calls under `/access` read by themselves: cookie and access token. */
export const sessionHeaders = z.object({
  cookie: z.string().optional(),
  authorization: z.string().optional(),
})
export const sessionQuery = z.object({ access_token: z.string().optional() })

/** Clients end their session on any of these. Never 401: that would make them ask again for ever. */
export const sessionErrors = errors({
  missingCookie: { status: 403, label: 'invalid-credentials', message: 'Missing cookie' },
  missingCookieAndToken: {
    status: 403,
    label: 'invalid-credentials',
    message: 'Missing cookie and token',
  },
  invalidToken: { status: 403, label: 'invalid-credentials', message: 'Invalid token' },
})
