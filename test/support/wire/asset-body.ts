import { createHash, randomUUID } from 'node:crypto'

import type { QualifiedId } from './wire-types.ts'

export interface AssetUpload {
  readonly bytes: Uint8Array
  readonly isPublic?: boolean
  readonly retention?:
    | 'eternal'
    | 'persistent'
    | 'volatile'
    | 'eternal-infrequent_access'
    | 'expiring'
  readonly mimeType?: string
  readonly conversation?: QualifiedId
  readonly fileName?: string
  readonly boundary?: string
  /** What the part claims; true values by default. */
  readonly claimed?: { readonly sizeBytes?: number; readonly md5?: string | undefined }
}

export interface MultipartBody {
  readonly contentType: string
  readonly body: Uint8Array
}

/** The two parts of `POST /assets`: settings as JSON, then the bytes, in that order. */
export function assetBody(upload: AssetUpload): MultipartBody {
  const { bytes, isPublic = false, retention = 'persistent', conversation, fileName } = upload
  const { mimeType = 'application/octet-stream', claimed = {} } = upload
  const { boundary = `frontier-${randomUUID()}` } = upload
  const settings = JSON.stringify({
    public: isPublic,
    retention,
    ...(conversation && { convId: conversation }),
    ...(fileName !== undefined && { filename: fileName, filetype: mimeType }),
  })
  const md5 = 'md5' in claimed ? claimed.md5 : createHash('md5').update(bytes).digest('base64')
  const head = [
    `--${boundary}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(settings)}`,
    '',
    settings,
    `--${boundary}`,
    `Content-Type: ${mimeType}`,
    `Content-Length: ${claimed.sizeBytes ?? bytes.length}`,
    ...(md5 === undefined ? [] : [`Content-MD5: ${md5}`]),
    '',
    '',
  ].join('\r\n')
  return {
    contentType: `multipart/mixed; boundary=${boundary}`,
    body: Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]),
  }
}
