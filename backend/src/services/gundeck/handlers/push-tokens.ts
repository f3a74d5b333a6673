import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import { pushTokenErrors } from '../../../contract/gundeck/push-tokens.ts'
import type { pushTokensApi } from '../../../contract/gundeck/push-tokens.ts'
import type { NativePush } from '../../../ports/push.ts'
import type { PushTokenStore } from '../store/push-tokens.ts'

const longestToken = { GCM: 8192, APNS: 400, APNS_SANDBOX: 400 } as const

export function pushTokenHandlers(deps: {
  tokens: PushTokenStore
  push: NativePush | undefined
}): Handlers<typeof pushTokensApi> {
  const { tokens, push } = deps
  return {
    async addPushToken({ caller, body }) {
      const { transport, app, token } = body
      if (transport === 'APNS_VOIP' || transport === 'APNS_VOIP_SANDBOX') {
        throw new ApiError(pushTokenErrors.voipNotSupported)
      }
      if (!push?.supports(transport, app)) throw new ApiError(pushTokenErrors.appNotFound)
      if (token.length > longestToken[transport]) throw new ApiError(pushTokenErrors.tokenTooLong)
      await tokens.put(caller.user, body)
      return { status: 201, body, headers: { location: encodeURIComponent(token) } }
    },
    async listPushTokens({ caller }) {
      return { status: 200, body: { tokens: await tokens.list(caller.user) } }
    },
    async removePushToken({ caller, params }) {
      if (!(await tokens.remove(caller.user, params.pid))) {
        throw new ApiError(pushTokenErrors.notFound)
      }
      return { status: 204 }
    },
  }
}
