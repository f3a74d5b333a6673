import {
  AssetSettings,
  assetErrors,
  type AssetKey,
  type assetsApi,
} from '../../../contract/cargohold/assets.ts'
import type { brigInternalApi } from '../../../contract/brig/internal.ts'
import type { Client, Handlers } from '../../../contract/endpoint.ts'
import { ApiError, kitErrors } from '../../../contract/error.ts'
import {
  formatTimestamp,
  type Domain,
  type QualifiedUserId,
  type UserId,
} from '../../../contract/ids.ts'
import { MultipartError, readAssetUpload } from '../../../platform/http/multipart-mixed.ts'
import { describe } from '../../../platform/http/reply.ts'
import type { Platform } from '../../../platform/service.ts'
import type { ObjectStore, StoredObject } from '../../../ports/objects.ts'
import type { CargoholdConfig } from '../config.ts'
import { assetMetadata, isOwner, mayDownload } from '../rules/access.ts'
import { assetKey, lifetimeSeconds, objectKey } from '../rules/retention.ts'

const tokenBytes = 16

export function assetHandlers(deps: {
  config: CargoholdConfig
  domain: Domain
  platform: Platform
  objects: ObjectStore
  brig: Pick<Client<typeof brigInternalApi>, 'listUserSummaries'>
}): Handlers<typeof assetsApi> {
  const { config, domain, objects, brig } = deps
  const { clock, ids } = deps.platform
  const local = (id: UserId): QualifiedUserId => ({ domain, id })

  async function maxBytesFor(user: UserId): Promise<number> {
    const { users } = (await brig.listUserSummaries({ body: { users: [user] } })).body
    return users[0]?.team === undefined ? config.maxAssetBytes : config.maxTeamAssetBytes
  }

  async function requireOwned(user: UserId, key: AssetKey): Promise<StoredObject> {
    const asset = await objects.head(objectKey(key))
    if (asset === undefined) throw new ApiError(assetErrors.unknown)
    if (!isOwner(asset.metadata, local(user))) throw new ApiError(assetErrors.notOwner)
    return asset
  }

  return {
    async uploadAsset({ caller, body }) {
      const maxBytes = await maxBytesFor(caller.user)
      try {
        const upload = await readAssetUpload(body)
        const settings = AssetSettings.safeParse(upload.settings)
        if (!settings.success) {
          throw new ApiError(kitErrors.badRequest, {
            message: `In the settings: ${describe(settings.error)}`,
          })
        }
        if (upload.lengthBytes > maxBytes) throw new ApiError(assetErrors.tooLarge)
        const { retention } = settings.data
        const key = assetKey(retention, ids.uuid())
        const token = settings.data.public ? undefined : ids.token(tokenBytes)
        await objects.put(objectKey(key), upload.content, {
          sizeBytes: upload.lengthBytes,
          metadata: assetMetadata(local(caller.user), token),
        })
        const seconds = lifetimeSeconds(retention)
        return {
          status: 201,
          headers: { location: `/assets/${domain}/${key}` },
          body: {
            key,
            domain,
            ...(token === undefined ? {} : { token }),
            ...(seconds === undefined
              ? {}
              : { expires: formatTimestamp(clock.nowMs() + seconds * 1000) }),
          },
        }
      } catch (error) {
        throw uploadError(error)
      }
    },

    async downloadAsset({ caller, params, query, headers }) {
      if (params.domain !== domain) throw new ApiError(assetErrors.unknown)
      const asset = await objects.get(objectKey(params.key))
      if (asset === undefined) throw new ApiError(assetErrors.unknown)
      const token = headers['asset-token'] ?? query.asset_token
      if (!mayDownload(asset.metadata, local(caller.user), token)) {
        await asset.content[Symbol.asyncIterator]().return?.()
        throw new ApiError(assetErrors.unknown)
      }
      return {
        status: 200,
        headers: {
          'content-length': String(asset.sizeBytes),
          // Content never changes under a key, and only who holds the token may keep it.
          'cache-control': 'private, max-age=31536000, immutable',
          'content-security-policy': "default-src 'none'; sandbox",
          'x-content-type-options': 'nosniff',
        },
        body: asset.content,
      }
    },

    async deleteAsset({ caller, params }) {
      if (params.domain !== domain) throw new ApiError(assetErrors.unknown)
      await requireOwned(caller.user, params.key)
      await objects.remove(objectKey(params.key))
      return { status: 200 }
    },

    async renewAssetToken({ caller, params }) {
      await requireOwned(caller.user, params.key)
      const token = ids.token(tokenBytes)
      await objects.replaceMetadata(objectKey(params.key), assetMetadata(local(caller.user), token))
      return { status: 200, body: { token } }
    },

    async deleteAssetToken({ caller, params }) {
      await requireOwned(caller.user, params.key)
      await objects.replaceMetadata(
        objectKey(params.key),
        assetMetadata(local(caller.user), undefined),
      )
      return { status: 200 }
    },
  }
}

/** What went wrong with the upload, in Wire's labels. */
function uploadError(error: unknown): unknown {
  if (!(error instanceof MultipartError)) return error
  const declaration = {
    'incomplete-body': assetErrors.incomplete,
    'invalid-length': assetErrors.wrongLength,
    'wrong-md5': kitErrors.badRequest,
    malformed: kitErrors.badRequest,
  }[error.problem]
  return new ApiError(declaration, { message: error.message, cause: error })
}
