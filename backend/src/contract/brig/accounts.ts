import { z } from 'zod'
import { between, empty, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { activationErrors } from './activation.ts'
import { clientErrors } from './clients.ts'
import { emailErrors } from './email.ts'
import { CookieLabel } from './login.ts'
import { NewPassword, Password, passwordErrors } from './password.ts'
import { SelfUser, SelfUserV11, SelfUserV14 } from './self-user.ts'
import { AccentId, BaseProtocol, Locale, Name, Picture, UserAsset } from './user-fields.ts'

export const accountErrors = errors({
  invalidInvitation: {
    status: 400,
    label: 'invalid-invitation-code',
    message: 'That invitation is not valid',
  },
  registrationRestricted: {
    status: 403,
    label: 'user-creation-restricted',
    message: 'This server does not take registrations of that kind',
  },
  guestsRefused: {
    status: 403,
    label: 'ephemeral-user-creation-disabled',
    message: 'This server does not take guests',
  },
  pendingDeletion: {
    status: 403,
    label: 'pending-delete',
    message: 'A code that confirms the deletion was mailed already',
  },
  invalidDeletionCode: {
    status: 403,
    label: 'invalid-code',
    message: 'That code is wrong or too old',
  },
})

export const longestGuestStaySeconds = 7 * 24 * 60 * 60

const register = {
  method: 'POST',
  path: '/register',
  isUnprefixed: true,
  auth: 'none',
  rateZone: 'register',
  summary: 'Make an account; without e-mail address, one of a guest that ends by itself',
  body: z.object({
    name: Name,
    email: z.string().optional(),
    /** Shows that the address was verified; without it a code is mailed. */
    email_code: z.string().optional(),
    password: NewPassword.optional(),
    label: CookieLabel.optional(),
    locale: Locale.optional(),
    accent_id: AccentId.optional(),
    assets: z.array(UserAsset).max(10).optional(),
    picture: Picture.optional(),
    supported_protocols: z.array(BaseProtocol).optional(),
    /** Of a guest. */
    expires_in: z.int().min(1).max(longestGuestStaySeconds).optional(),
    team: z.unknown().optional(),
    team_code: z.string().optional(),
    invitation_code: z.string().optional(),
  }),
  errors: [
    accountErrors.invalidInvitation,
    accountErrors.registrationRestricted,
    accountErrors.guestsRefused,
    activationErrors.invalidCode,
    emailErrors.invalid,
    emailErrors.refused,
    emailErrors.taken,
    passwordErrors.tooManyChecks,
  ],
} as const

export const accountsApi = {
  registerV11: endpoint({
    ...register,
    versions: between(0, 11),
    responses: { 201: SelfUserV11 },
  }),
  registerV14: endpoint({
    ...register,
    versions: between(12, 14),
    responses: { 201: SelfUserV14 },
  }),
  register: endpoint({ ...register, versions: since(15), responses: { 201: SelfUser } }),
  deleteSelf: endpoint({
    method: 'DELETE',
    path: '/self',
    versions: since(0),
    auth: 'user',
    summary: 'Delete the account: at once with the password, else after a mailed code came back',
    body: z.object({ password: Password.optional() }).default({}),
    responses: {
      200: empty,
      /** Seconds for which the mailed code is good. */
      202: z.object({ expires_in: z.int() }),
    },
    errors: [
      accountErrors.pendingDeletion,
      clientErrors.missingAuth,
      passwordErrors.isWrong,
      passwordErrors.tooManyChecks,
    ],
  }),
  confirmDeletion: endpoint({
    method: 'POST',
    path: '/delete',
    versions: since(0),
    auth: 'none',
    rateZone: 'codes',
    summary: 'Delete an account with the mailed code',
    body: z.object({ key: z.string(), code: z.string() }),
    responses: { 200: empty },
    errors: [accountErrors.invalidDeletionCode],
  }),
}
