import { emailErrors } from '../../contract/brig/email.ts'
import { ApiError, kitErrors } from '../../contract/error.ts'
import type { UserId } from '../../contract/ids.ts'
import type { User, UserStore } from './store/users.ts'

/** The caller. Access tokens outlive an account by minutes; those find nothing. */
export async function requireSelf(users: Pick<UserStore, 'get'>, id: UserId): Promise<User> {
  const user = await users.get(id)
  if (user === undefined || user.status === 'deleted') throw new ApiError(kitErrors.notFound)
  return user
}

/** Lets those through who have shown an e-mail address, which guests have not. */
export function requireIdentity(user: User): void {
  if (!user.isActivated || user.email === undefined) throw new ApiError(emailErrors.noIdentity)
}
