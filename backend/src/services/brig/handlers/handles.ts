import { handleErrors } from '../../../contract/brig/handles.ts'
import type { handlesApi } from '../../../contract/brig/handles.ts'
import type { Handle } from '../../../contract/brig/user-fields.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError, Unavailable } from '../../../contract/error.ts'
import type { Announce } from '../announce.ts'
import { requireIdentity, requireSelf } from '../require-user.ts'
import { isReserved, parseHandle } from '../rules/handle.ts'
import type { ClaimStore } from '../store/claims.ts'
import type { UserStore } from '../store/users.ts'

export function handleHandlers(deps: {
  users: UserStore
  handles: ClaimStore
  announce: Announce
}): Handlers<typeof handlesApi> {
  const { users, handles, announce } = deps

  const isTaken = async (handle: Handle): Promise<boolean> =>
    isReserved(handle) || (await handles.isTaken(handle))

  return {
    async checkHandle({ params }) {
      const handle = parseHandle(params.handle)
      if (handle === undefined) throw new ApiError(handleErrors.invalid)
      return { status: (await isTaken(handle)) ? 200 : 404 }
    },

    async checkHandles({ body }) {
      const free: Handle[] = []
      for (const text of new Set(body.handles)) {
        if (free.length === body.return) break
        const handle = parseHandle(text)
        if (handle !== undefined && !(await isTaken(handle))) free.push(handle)
      }
      return { status: 200, body: free }
    },

    async changeHandle({ caller, body }) {
      const handle = parseHandle(body.handle)
      if (handle === undefined || isReserved(handle)) throw new ApiError(handleErrors.invalid)
      const user = await requireSelf(users, caller.user)
      requireIdentity(user)
      if ((await handles.claim(handle, user.id)) === 'taken') throw new ApiError(handleErrors.taken)
      const changed = await users.update(user, { handle })
      if (changed === undefined) throw new Unavailable('changing a user who just changed')
      await announce(changed, { handle }, caller.connection)
      await handles.hold(handle, user.id)
      return { status: 200 }
    },
  }
}
