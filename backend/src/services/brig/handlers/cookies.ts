import type { cookiesApi } from '../../../contract/brig/cookies.ts'
import { passwordErrors } from '../../../contract/brig/password.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import { formatTimestamp } from '../../../contract/ids.ts'
import type { Credentials } from '../credentials.ts'
import type { Sessions } from '../sessions.ts'

export function cookieHandlers(deps: {
  sessions: Sessions
  credentials: Credentials
}): Handlers<typeof cookiesApi> {
  const { sessions, credentials } = deps
  return {
    async listCookies({ caller, query }) {
      const labels = query.labels?.split(',').filter((label) => label !== '') ?? []
      const cookies = (await sessions.list(caller.user)).filter(
        ({ label }) => labels.length === 0 || (label !== undefined && labels.includes(label)),
      )
      return {
        status: 200,
        body: {
          cookies: cookies.map(({ id, type, createdMs, expiresMs, label, successor }) => ({
            id,
            type,
            created: formatTimestamp(createdMs),
            expires: formatTimestamp(expiresMs),
            label,
            successor,
          })),
        },
      }
    },

    async removeCookies({ caller, body: { password, labels, ids } }) {
      if ((await credentials.check(caller.user, password)) !== 'right') {
        throw new ApiError(passwordErrors.isWrong)
      }
      const isEverything = labels.length === 0 && ids.length === 0
      await sessions.revoke(
        caller.user,
        ({ id, label }) =>
          isEverything || ids.includes(id) || (label !== undefined && labels.includes(label)),
      )
      return { status: 200 }
    },
  }
}
