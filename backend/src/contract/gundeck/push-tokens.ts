import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { ClientId } from '../ids.ts'

export const pushTokenErrors = errors({
  voipNotSupported: {
    status: 400,
    label: 'apns-voip-not-supported',
    message: 'Tokens for VoIP pushes are no longer taken',
  },
  appNotFound: {
    status: 404,
    label: 'app-not-found',
    message: 'This server sends no pushes to that app',
  },
  tokenTooLong: {
    status: 413,
    label: 'token-too-long',
    message: 'The push token is longer than its transport allows',
  },
  notFound: { status: 404, label: 'not-found', message: 'There is no such push token' },
})

export const Transport = z.enum(['GCM', 'APNS', 'APNS_SANDBOX', 'APNS_VOIP', 'APNS_VOIP_SANDBOX'])
export type Transport = z.infer<typeof Transport>

export const PushToken = z.object({
  transport: Transport,
  app: z.string().min(1).max(256),
  token: z.string().min(1),
  client: ClientId,
})
export type PushToken = z.infer<typeof PushToken>

export const pushTokensApi = {
  addPushToken: endpoint({
    method: 'POST',
    path: '/push/tokens',
    versions: since(0),
    auth: 'user',
    summary: 'Register a device for native pushes',
    body: PushToken,
    responses: { 201: PushToken },
    errors: [
      pushTokenErrors.voipNotSupported,
      pushTokenErrors.appNotFound,
      pushTokenErrors.tokenTooLong,
    ],
  }),
  listPushTokens: endpoint({
    method: 'GET',
    path: '/push/tokens',
    versions: since(0),
    auth: 'user',
    summary: "The caller's push tokens",
    responses: { 200: z.object({ tokens: z.array(PushToken) }) },
    errors: [],
  }),
  removePushToken: endpoint({
    method: 'DELETE',
    path: '/push/tokens/{pid}',
    versions: since(0),
    auth: 'user',
    summary: 'Forget a push token',
    params: z.object({ pid: z.string() }),
    responses: { 204: empty },
    errors: [pushTokenErrors.notFound],
  }),
}
