import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'
import { Domain } from '../ids.ts'
import { conversationErrors } from './errors.ts'

export const customBackendsApi = {
  getCustomBackend: endpoint({
    method: 'GET',
    path: '/custom-backend/by-domain/{domain}',
    versions: since(0),
    auth: 'none',
    summary: 'Where the users of an e-mail domain have their backend',
    params: z.object({ domain: Domain }),
    responses: { 200: z.object({ config_json_url: z.url(), webapp_welcome_url: z.url() }) },
    errors: [conversationErrors.noCustomBackend],
  }),
}
