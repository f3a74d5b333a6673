import type { Email } from '../../../contract/brig/user-fields.ts'
import type { AccountsConfig } from '../config.ts'
import { emailDomain, emailKey } from './email-address.ts'

/** Whether the operator lets people use the address. */
export function judgeEmail(
  email: Email,
  config: Pick<AccountsConfig, 'registration'>,
): 'fine' | 'refused-address' | 'refused-domain' {
  const { refusedAddresses, refusedDomains } = config.registration
  if (refusedAddresses.includes(emailKey(email))) return 'refused-address'
  if (refusedDomains.includes(emailDomain(email))) return 'refused-domain'
  return 'fine'
}
