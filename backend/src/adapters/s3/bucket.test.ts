import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  DeleteBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3'
import { describe, expect, it } from 'vitest'
import { createBucket, setRules } from './bucket.ts'
import { connectS3 } from './client.ts'

const endpoint = (process.env['TEST_S3'] ?? process.env['TEST_MINIO'])?.split(',')[0]
const bucket = `test-rules-${randomUUID()}`
const day = 24 * 60 * 60

describe.skipIf(endpoint === undefined)('the job of the bucket, with TEST_S3 or TEST_MINIO', () => {
  it('makes the bucket once, keeps the rules of others, and sets ours anew each time', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tricord-s3-'))
    const [accessKeyFile, secretKeyFile] = [join(folder, 'access'), join(folder, 'secret')]
    await writeFile(accessKeyFile, process.env['TEST_S3_ACCESS_KEY'] ?? 'tricord')
    await writeFile(secretKeyFile, process.env['TEST_S3_SECRET_KEY'] ?? 'tricord-on-loopback')
    const s3 = await connectS3({
      endpoint: `http://${endpoint ?? ''}`,
      region: 'us-east-1',
      bucket,
      isPathStyle: true,
      accessKeyFile,
      secretKeyFile,
    })
    const rules = async (): Promise<unknown> => {
      const { Rules = [] } = await s3.send(
        new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }),
      )
      return Rules.filter(({ Expiration }) => Expiration !== undefined)
        .map(({ ID, Expiration, Filter }) => [ID, Filter?.Prefix, Expiration?.Days])
        .toSorted(([a = ''], [b = '']) => String(a).localeCompare(String(b)))
    }
    try {
      expect(await createBucket(s3, bucket)).toBe(true)
      expect(await createBucket(s3, bucket)).toBe(false)
      await s3.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket: bucket,
          LifecycleConfiguration: {
            Rules: [
              { ID: 'mine', Status: 'Enabled', Filter: { Prefix: 'x/' }, Expiration: { Days: 3 } },
            ],
          },
        }),
      )
      await setRules(s3, bucket, [{ prefix: 'v3/volatile/', lifetimeSeconds: 28 * day }])
      await setRules(s3, bucket, [
        { prefix: 'v3/volatile/', lifetimeSeconds: 27.5 * day },
        { prefix: 'v3/expiring/', lifetimeSeconds: 365 * day },
      ])
      expect(await rules()).toEqual([
        ['mine', 'x/', 3],
        ['tricord-v3-expiring', 'v3/expiring/', 365],
        ['tricord-v3-volatile', 'v3/volatile/', 28],
      ])
      await setRules(s3, bucket, [])
      expect(await rules()).toEqual([['mine', 'x/', 3]])
    } finally {
      await s3.send(new DeleteBucketCommand({ Bucket: bucket }))
      s3.destroy()
      await rm(folder, { recursive: true })
    }
  })
})
