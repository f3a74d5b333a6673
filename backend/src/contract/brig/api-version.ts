import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'
import { Domain } from '../ids.ts'

export const apiVersionApi = {
  getApiVersion: endpoint({
    method: 'GET',
    path: '/api-version',
    versions: since(0),
    isUnprefixed: true,
    auth: 'none',
    rateZone: 'none',
    summary: 'The API versions, the backend domain and whether it federates',
    responses: {
      200: z.object({
        supported: z.array(z.int()),
        development: z.array(z.int()),
        federation: z.boolean(),
        domain: Domain,
      }),
    },
    errors: [],
  }),
}
