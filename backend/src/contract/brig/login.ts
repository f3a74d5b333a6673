import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { ClientId, UserId } from '../ids.ts'
import { Password, passwordErrors } from './password.ts'
import { sessionErrors, sessionHeaders, sessionQuery } from './session.ts'

/** What a client calls a session: logging in again under the same label ends the earlier one. */
export const CookieLabel = z.string().min(1).max(256)

export const AccessTokenReply = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  /** Seconds. */
  expires_in: z.int(),
  user: UserId,
})

export const loginErrors = errors({
  pendingActivation: {
    status: 403,
    label: 'pending-activation',
    message: 'The e-mail address has not been verified yet',
  },
  suspended: { status: 403, label: 'suspended', message: 'The account is suspended' },
  tooManyFailures: {
    status: 403,
    label: 'client-error',
    message: 'Too many failed log-ins: wait a while',
  },
  tooManySessions: {
    status: 429,
    label: 'client-error',
    message: 'Too many log-ins in a short time: wait a while',
  },
})

const isTrue = z.enum(['true', 'false']).transform((text) => text === 'true')

export const loginApi = {
  login: endpoint({
    method: 'POST',
    path: '/login',
    versions: since(0),
    isUnprefixed: true,
    auth: 'none',
    rateZone: 'login',
    summary: 'Start a session with e-mail address or handle, and password',
    query: z.object({ persist: isTrue.default(false) }),
    body: z
      .object({
        email: z.string().optional(),
        handle: z.string().optional(),
        password: Password,
        label: CookieLabel.optional(),
        verification_code: z.string().optional(),
      })
      .refine(({ email, handle }) => email !== undefined || handle !== undefined, {
        error: 'email or handle is required',
      }),
    responses: { 200: AccessTokenReply },
    errors: [passwordErrors.isWrong, passwordErrors.tooManyChecks, ...Object.values(loginErrors)],
  }),
  renewAccess: endpoint({
    method: 'POST',
    path: '/access',
    versions: since(0),
    isUnprefixed: true,
    auth: 'cookie',
    rateZone: 'none',
    summary: 'Fetch an access token for the session; `client_id` binds it to a device',
    query: sessionQuery.extend({ client_id: ClientId.optional() }),
    headers: sessionHeaders,
    responses: { 200: AccessTokenReply },
    errors: Object.values(sessionErrors),
  }),
  logout: endpoint({
    method: 'POST',
    path: '/access/logout',
    versions: since(0),
    isUnprefixed: true,
    auth: 'cookie',
    rateZone: 'none',
    summary: 'End the session',
    query: sessionQuery,
    headers: sessionHeaders,
    responses: { 200: empty },
    errors: Object.values(sessionErrors),
  }),
}
