import { createHash } from 'node:crypto'

import { expect, it } from 'vitest'

import { assetBody } from './asset-body.ts'

const text = (body: Uint8Array): string => Buffer.from(body).toString('latin1')

it('lays out settings and bytes in two parts that state their lengths', () => {
  const bytes = Buffer.from('some bytes')
  const { contentType, body } = assetBody({ bytes, boundary: 'b', retention: 'volatile' })
  expect(contentType).toBe('multipart/mixed; boundary=b')
  const md5 = createHash('md5').update(bytes).digest('base64')
  expect(text(body).split('\r\n')).toEqual([
    '--b',
    'Content-Type: application/json; charset=utf-8',
    'Content-Length: 39',
    '',
    '{"public":false,"retention":"volatile"}',
    '--b',
    'Content-Type: application/octet-stream',
    'Content-Length: 10',
    `Content-MD5: ${md5}`,
    '',
    'some bytes',
    '--b--',
    '',
  ])
})

it('claims other lengths and digests when told to', () => {
  const claimed = { sizeBytes: 11, md5: undefined }
  const { body } = assetBody({ bytes: Buffer.from('some bytes'), claimed })
  expect(text(body)).toContain('Content-Length: 11')
  expect(text(body)).not.toContain('Content-MD5')
})
