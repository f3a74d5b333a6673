import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { emailErrors } from './email.ts'

/** New passwords. */
export const NewPassword = z.string().min(8).max(1024)
/** Passwords to be checked: some are older than the rule above. */
export const Password = z.string().min(6).max(1024)

export const passwordErrors = errors({
  /** Clients tell a wrong password from a dead session by this very text. */
  isWrong: { status: 403, label: 'invalid-credentials', message: 'Authentication failed.' },
  tooManyChecks: {
    status: 429,
    label: 'too-many-requests',
    message: 'Too many passwords were tried: wait a while',
  },
  mustDiffer: {
    status: 409,
    label: 'password-must-differ',
    message: 'The new password is the old one',
  },
  invalidResetCode: {
    status: 400,
    label: 'invalid-code',
    message: 'That code is wrong or too old',
  },
})

export const passwordApi = {
  checkPasswordExists: endpoint({
    method: 'HEAD',
    path: '/self/password',
    versions: since(0),
    auth: 'user',
    summary: 'Whether the caller has a password',
    responses: { 200: empty, 404: empty },
    errors: [],
  }),
  changePassword: endpoint({
    method: 'PUT',
    path: '/self/password',
    versions: since(0),
    auth: 'user',
    summary: 'Set another password; ends all sessions',
    body: z.object({ old_password: Password.optional(), new_password: NewPassword }),
    responses: { 200: empty },
    errors: [
      passwordErrors.isWrong,
      passwordErrors.mustDiffer,
      passwordErrors.tooManyChecks,
      emailErrors.noIdentity,
    ],
  }),
  requestPasswordReset: endpoint({
    method: 'POST',
    path: '/password-reset',
    versions: since(0),
    auth: 'none',
    rateZone: 'codes',
    summary: 'Mail a code with which a forgotten password can be replaced',
    body: z.object({ email: z.string().optional() }),
    /** Whether or not the address belongs to anybody. */
    responses: { 201: empty },
    errors: [],
  }),
  completePasswordReset: endpoint({
    method: 'POST',
    path: '/password-reset/complete',
    versions: since(0),
    auth: 'none',
    rateZone: 'codes',
    summary: 'Replace a forgotten password; ends all sessions',
    body: z.object({ key: z.string(), code: z.string(), password: NewPassword }),
    responses: { 200: empty },
    errors: [passwordErrors.invalidResetCode, passwordErrors.tooManyChecks],
  }),
}
