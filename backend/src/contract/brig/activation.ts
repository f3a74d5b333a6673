import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { emailErrors } from './email.ts'
import { Email, Locale } from './user-fields.ts'

export const activationErrors = errors({
  invalidCode: { status: 404, label: 'invalid-code', message: 'That code is wrong or too old' },
  blockedDomain: {
    status: 451,
    label: 'domain-blocked-for-registration',
    message: 'Addresses of that domain cannot register here',
  },
})

const activationResponses = {
  200: z.object({
    email: Email,
    /** False when the account was active before, and this is a change of address. */
    first: z.boolean(),
  }),
  /** The address was verified before. */
  204: empty,
}
const activationEndpointErrors = [
  activationErrors.invalidCode,
  emailErrors.invalid,
  emailErrors.taken,
] as const

export const activationApi = {
  /** The link in the mail. */
  activateByLink: endpoint({
    method: 'GET',
    path: '/activate',
    versions: since(0),
    auth: 'none',
    rateZone: 'codes',
    summary: 'Verify an e-mail address',
    query: z.object({ key: z.string(), code: z.string() }),
    responses: activationResponses,
    errors: activationEndpointErrors,
  }),
  activate: endpoint({
    method: 'POST',
    path: '/activate',
    versions: since(0),
    auth: 'none',
    rateZone: 'codes',
    summary: 'Verify an e-mail address, or only check the code',
    body: z
      .object({
        key: z.string().optional(),
        email: z.string().optional(),
        code: z.string(),
        dryrun: z.boolean().default(false),
      })
      .refine(({ key, email }) => key !== undefined || email !== undefined, {
        error: 'key or email is required',
      }),
    responses: activationResponses,
    errors: activationEndpointErrors,
  }),
  sendActivationCode: endpoint({
    method: 'POST',
    path: '/activate/send',
    versions: since(0),
    auth: 'none',
    rateZone: 'codes',
    summary: 'Mail a code that verifies an address, before or after registering with it',
    body: z.object({ email: z.string(), locale: Locale.optional() }),
    responses: { 200: empty },
    errors: [
      emailErrors.invalid,
      emailErrors.refused,
      emailErrors.taken,
      activationErrors.blockedDomain,
    ],
  }),
}
