import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { sessionErrors, sessionHeaders, sessionQuery } from './session.ts'

export const emailErrors = errors({
  invalid: { status: 400, label: 'invalid-email', message: 'That is not an e-mail address' },
  taken: { status: 409, label: 'key-exists', message: 'That e-mail address is in use' },
  refused: {
    status: 403,
    label: 'blacklisted-email',
    message: 'That e-mail address cannot be used here',
  },
  isLastIdentity: {
    status: 403,
    label: 'last-identity',
    message: 'The only e-mail address of an account cannot be removed',
  },
  noIdentity: {
    status: 403,
    label: 'no-identity',
    message: 'The account has no verified e-mail address',
  },
})

/** Upstream answers success here with an empty JSON list. */
const emptyList = z.array(z.never())

export const emailApi = {
  /** Under `/access` because that is where browsers send the cookie. */
  changeEmail: endpoint({
    method: 'PUT',
    path: '/access/self/email',
    versions: since(0),
    isUnprefixed: true,
    auth: 'cookie',
    rateZone: 'codes',
    summary: 'Ask for another e-mail address; it counts once the mailed code came back',
    query: sessionQuery,
    headers: sessionHeaders,
    body: z.object({ email: z.string() }),
    responses: { 202: emptyList, 204: empty },
    errors: [
      emailErrors.invalid,
      emailErrors.refused,
      emailErrors.taken,
      ...Object.values(sessionErrors),
    ],
  }),
  removeEmail: endpoint({
    method: 'DELETE',
    path: '/self/email',
    versions: since(0),
    auth: 'user',
    summary: 'Remove the e-mail address of an account that has another identity',
    responses: { 200: empty },
    errors: [emailErrors.isLastIdentity, emailErrors.noIdentity],
  }),
}
