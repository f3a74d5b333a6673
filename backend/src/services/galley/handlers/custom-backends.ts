import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import type { customBackendsApi } from '../../../contract/galley/custom-backends.ts'
import { conversationErrors } from '../../../contract/galley/errors.ts'
import type { GalleyConfig } from '../config.ts'

export function customBackendsHandlers(deps: {
  readonly customBackends: GalleyConfig['customBackends']
}): Handlers<typeof customBackendsApi> {
  return {
    async getCustomBackend({ params }) {
      const backend = deps.customBackends[params.domain]
      if (!backend) throw new ApiError(conversationErrors.noCustomBackend)
      return {
        status: 200,
        body: {
          config_json_url: backend.configUrl,
          webapp_welcome_url: backend.welcomeUrl,
        },
      }
    },
  }
}
