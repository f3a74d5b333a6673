import {
  CreateBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  HeadBucketCommand,
  PutBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  type S3Client,
} from '@aws-sdk/client-s3'
import { Unavailable } from '../../contract/error.ts'
import type { Step } from '../../platform/jobs/job.ts'
import { connectS3, s3Outage, statusOf, type S3Connection } from './client.ts'

export interface Lifetime {
  readonly prefix: string
  readonly lifetimeSeconds: number
}

/** Each call may take so long. */
const callMs = 10_000
const daySeconds = 24 * 60 * 60
/** Our rules among those that others have set. */
const rulePrefix = 'tricord-'

/**
 * Makes the bucket and sets its rules: parts of uploads that nobody finished go after a day, and
 * objects below the prefixes after their lifetime. Rules of others stay. Done at every run, so that
 * a release with other lifetimes sets them.
 */
export function bucketStep(connection: S3Connection, lifetimes: readonly Lifetime[]): Step {
  return {
    number: 1,
    name: 'bucket and rules',
    checksum: '1',
    isRepeated: true,
    async run(context) {
      const s3 = await connectS3(connection)
      const { bucket } = connection
      try {
        if (await context.patiently(() => asUnavailable(() => createBucket(s3, bucket)))) {
          context.report(`made the bucket ${bucket}`)
        }
        const outcome = await context.patiently(() =>
          asUnavailable(() => setRules(s3, bucket, lifetimes)),
        )
        context.report(
          outcome === 'set'
            ? `the bucket ${bucket} has its rules`
            : `the bucket ${bucket} has its rules, except that this store takes none for unfinished uploads (MinIO removes them itself after a day)`,
        )
      } finally {
        s3.destroy()
      }
    },
  }
}

/** True when it was not there. */
export async function createBucket(s3: S3Client, bucket: string): Promise<boolean> {
  const abortSignal = AbortSignal.timeout(callMs)
  try {
    await s3.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal })
    return false
  } catch (error) {
    if (statusOf(error) !== 404) throw error
  }
  try {
    await s3.send(new CreateBucketCommand({ Bucket: bucket }), { abortSignal })
    return true
  } catch (error) {
    // Somebody else made it in between, for us.
    if (error instanceof Error && error.name === 'BucketAlreadyOwnedByYou') return false
    throw error
  }
}

/** `partly`: the store knows no rule for unfinished uploads. */
export async function setRules(
  s3: S3Client,
  bucket: string,
  lifetimes: readonly Lifetime[],
): Promise<'set' | 'partly'> {
  const abortSignal = AbortSignal.timeout(callMs)
  const { Rules: present = [] } = await s3
    .send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }), { abortSignal })
    .catch((error: unknown): { Rules?: LifecycleRule[] } => {
      if (statusOf(error) === 404) return {}
      throw error
    })
  const unfinished: LifecycleRule = {
    ID: `${rulePrefix}unfinished-uploads`,
    Status: 'Enabled',
    Filter: { Prefix: '' },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
  }
  const others: LifecycleRule[] = [
    ...present.filter(({ ID }) => ID?.startsWith(rulePrefix) !== true),
    ...lifetimes.map(({ prefix, lifetimeSeconds }): LifecycleRule => ({
      ID: `${rulePrefix}${prefix.replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, '')}`,
      Status: 'Enabled',
      Filter: { Prefix: prefix },
      Expiration: { Days: Math.ceil(lifetimeSeconds / daySeconds) },
    })),
  ]
  const put = (Rules: LifecycleRule[]): Promise<unknown> =>
    s3.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: { Rules },
      }),
      { abortSignal },
    )
  try {
    await put([...others, unfinished])
    return 'set'
  } catch (error) {
    if (statusOf(error) !== 400) throw error
    await put(others)
    return 'partly'
  }
}

/** A store that is away is waited for by who runs the job. */
async function asUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (s3Outage(cause) !== undefined) throw new Unavailable('set up the bucket', { cause })
    throw cause
  }
}
