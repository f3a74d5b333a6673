import { domainRegistrationErrors } from '../../../contract/brig/domain-registration.ts'
import type { domainRegistrationApi } from '../../../contract/brig/domain-registration.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import { parseEmail } from '../rules/email-address.ts'

export function domainRegistrationHandlers(): Handlers<typeof domainRegistrationApi> {
  return {
    getDomainRegistration({ body }) {
      if (parseEmail(body.email) === undefined) {
        throw new ApiError(domainRegistrationErrors.invalidDomain)
      }
      return Promise.resolve({ status: 200, body: { domain_redirect: 'none' } })
    },
  }
}
