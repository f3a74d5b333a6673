import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'

export const callErrors = errors({
  noRelay: {
    status: 404,
    label: 'not-found',
    message: 'No relay for calls is configured on this server',
  },
})

export const callsApi = {
  getCallConfig: endpoint({
    method: 'GET',
    path: '/calls/config/v2',
    versions: since(0),
    auth: 'user',
    summary: 'The relays for calls, with credentials for the caller',
    query: z.object({ limit: z.coerce.number().int().min(1).max(10).optional() }),
    responses: {
      200: z.object({
        ice_servers: z
          .array(
            z.object({
              urls: z.array(z.string()).min(1),
              username: z.string(),
              credential: z.base64(),
            }),
          )
          .min(1),
        /** Seconds after which to ask again. */
        ttl: z.int(),
      }),
    },
    errors: [callErrors.noRelay],
  }),
}
