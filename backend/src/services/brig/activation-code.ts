import type { Email } from '../../contract/brig/user-fields.ts'
import type { UserId } from '../../contract/ids.ts'
import type { Ids } from '../../platform/ids.ts'
import type { AccountsConfig } from './config.ts'
import type { Secret } from './mails/mails.ts'
import { keyOfEmail } from './rules/code-key.ts'
import type { CodeStore } from './store/codes.ts'

/** Makes the code that verifies an address, for an account that waits for it or for a new one. */
export async function issueActivationCode(
  deps: {
    codes: CodeStore
    ids: Pick<Ids, 'sixDigitCode'>
    config: Pick<AccountsConfig, 'codes'>
  },
  email: Email,
  user: UserId | undefined,
): Promise<Secret> {
  const { codes, ids, config } = deps
  const key = keyOfEmail(email)
  const code = ids.sixDigitCode()
  const ttlSeconds = config.codes.activationSeconds
  await codes.issue('activation', key, { code, ttlSeconds, email, ...(user && { user }) })
  return { key, code }
}
