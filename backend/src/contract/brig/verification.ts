import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'

export const verificationApi = {
  /** 200 for addresses that nobody has, and while nobody has the second factor switched on. */
  sendVerificationCode: endpoint({
    method: 'POST',
    path: '/verification-code/send',
    versions: since(0),
    auth: 'none',
    rateZone: 'codes',
    summary: 'Mail a code for the second factor',
    body: z.object({
      action: z.enum(['login', 'create_scim_token', 'delete_team']),
      email: z.string(),
    }),
    responses: { 200: empty },
    errors: [],
  }),
}
