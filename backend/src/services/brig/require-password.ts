import { clientErrors } from '../../contract/brig/clients.ts'
import { passwordErrors } from '../../contract/brig/password.ts'
import { ApiError } from '../../contract/error.ts'
import type { UserId } from '../../contract/ids.ts'
import type { Accounts } from './halves.ts'

/** Lets those through who show their password, and those who have none. */
export async function requirePassword(
  accounts: Pick<Accounts, 'checkPassword'>,
  user: UserId,
  password: string | undefined,
): Promise<void> {
  const verdict = await accounts.checkPassword(user, password)
  if (verdict === 'missing') throw new ApiError(clientErrors.missingAuth)
  if (verdict === 'wrong') throw new ApiError(passwordErrors.isWrong)
}
