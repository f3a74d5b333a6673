import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'

export const domainRegistrationErrors = errors({
  invalidDomain: {
    status: 400,
    label: 'invalid-domain',
    message: 'The e-mail address has no valid domain',
  },
})

export const domainRegistrationApi = {
  /** Web apps ask once an address was typed. `none`: it may log in or register here. */
  getDomainRegistration: endpoint({
    method: 'POST',
    path: '/get-domain-registration',
    versions: since(8),
    auth: 'none',
    summary: 'Where the owner of an e-mail address logs in',
    body: z.object({ email: z.string() }),
    responses: { 200: z.object({ domain_redirect: z.literal('none') }) },
    errors: [domainRegistrationErrors.invalidDomain],
  }),
}
