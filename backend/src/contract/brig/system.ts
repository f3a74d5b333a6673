import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'

const PublicSettings = z.object({
  /** Whether people can register by themselves. */
  setRestrictUserCreation: z.boolean(),
})

export const systemApi = {
  getPublicSettings: endpoint({
    method: 'GET',
    path: '/system/settings/unauthorized',
    versions: since(3),
    auth: 'none',
    summary: 'What an app must know before anybody logs in',
    responses: { 200: PublicSettings },
    errors: [],
  }),
  getSettings: endpoint({
    method: 'GET',
    path: '/system/settings',
    versions: since(3),
    auth: 'user',
    summary: 'Settings of the server',
    responses: { 200: PublicSettings.extend({ setEnableMls: z.boolean() }) },
    errors: [],
  }),
}
