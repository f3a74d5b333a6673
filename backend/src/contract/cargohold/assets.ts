import { z } from 'zod'
import { empty, endpoint, since, streamBody, streamResponse } from '../endpoint.ts'
import { errors } from '../error.ts'
import { Domain, QualifiedConversationId, Timestamp } from '../ids.ts'

/** How long an asset is kept, by the names that uploads use. */
export const Retention = z.enum([
  'eternal',
  'persistent',
  'volatile',
  'eternal-infrequent_access',
  'expiring',
])
export type Retention = z.infer<typeof Retention>

/** `3-<retention digit>-<uuid>` */
export const AssetKey = z
  .string()
  .regex(/^3-[1-5]-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  .brand<'AssetKey'>()
export type AssetKey = z.infer<typeof AssetKey>

/** The first part of an upload. */
export const AssetSettings = z.object({
  public: z.boolean().default(false),
  retention: Retention.default('persistent'),
  domain: Domain.optional(),
  convId: QualifiedConversationId.optional(),
  filename: z.string().max(1024).optional(),
  filetype: z.string().max(256).optional(),
})
export type AssetSettings = z.infer<typeof AssetSettings>

const assetErrors = errors({
  incomplete: {
    status: 400,
    label: 'incomplete-body',
    message: 'The upload ended before all of it had arrived',
  },
  wrongLength: {
    status: 400,
    label: 'invalid-length',
    message: 'The content is not as long as its Content-Length says',
  },
  tooLarge: { status: 413, label: 'client-error', message: 'The asset is too large' },
  unknown: { status: 404, label: 'not-found', message: 'There is no such asset' },
  notOwner: {
    status: 403,
    label: 'unauthorised',
    message: 'Only who uploaded the asset may do that',
  },
})
export { assetErrors }

const QualifiedKey = z.object({ domain: Domain, key: AssetKey })

export const assetsApi = {
  uploadAsset: endpoint({
    method: 'POST',
    path: '/assets',
    versions: since(0),
    auth: 'user',
    rateZone: 'none',
    summary: 'Upload an asset: settings and content as multipart/mixed',
    body: streamBody(['multipart/mixed']),
    responses: {
      201: z.object({
        key: AssetKey,
        domain: Domain,
        token: z.string().optional(),
        expires: Timestamp.optional(),
      }),
    },
    errors: [assetErrors.incomplete, assetErrors.wrongLength, assetErrors.tooLarge],
  }),
  downloadAsset: endpoint({
    method: 'GET',
    path: '/assets/{domain}/{key}',
    versions: since(0),
    auth: 'user',
    rateZone: 'none',
    summary: 'Download an asset',
    params: QualifiedKey,
    query: z.object({ asset_token: z.string().max(256).optional() }),
    headers: z.object({ 'asset-token': z.string().max(256).optional() }),
    responses: { 200: streamResponse('application/octet-stream') },
    errors: [assetErrors.unknown],
  }),
  deleteAsset: endpoint({
    method: 'DELETE',
    path: '/assets/{domain}/{key}',
    versions: since(0),
    auth: 'user',
    summary: 'Delete an asset of the caller',
    params: QualifiedKey,
    responses: { 200: empty },
    errors: [assetErrors.unknown, assetErrors.notOwner],
  }),
  renewAssetToken: endpoint({
    method: 'POST',
    path: '/assets/{key}/token',
    versions: since(0),
    auth: 'user',
    summary: 'Give an asset a new token; the old one stops working',
    params: z.object({ key: AssetKey }),
    responses: { 200: z.object({ token: z.string() }) },
    errors: [assetErrors.unknown, assetErrors.notOwner],
  }),
  deleteAssetToken: endpoint({
    method: 'DELETE',
    path: '/assets/{key}/token',
    versions: since(0),
    auth: 'user',
    summary: 'Make an asset public',
    params: z.object({ key: AssetKey }),
    responses: { 200: empty },
    errors: [assetErrors.unknown, assetErrors.notOwner],
  }),
}
