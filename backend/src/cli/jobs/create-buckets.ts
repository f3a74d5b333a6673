import { bucketStep } from '../../adapters/s3/bucket.ts'
import { expiringPrefixes } from '../../services/cargohold/rules/retention.ts'
import type { JobCommand } from './command.ts'

export const createBuckets: JobCommand = {
  name: 'create-buckets',
  description: 'make the bucket for assets and set how long objects live in it',
  async prepare({ config: { objects } }) {
    if (objects.kind !== 's3') return { name: 'create-buckets', steps: [] }
    return {
      name: 'create-buckets',
      steps: [bucketStep(objects, expiringPrefixes)],
    }
  },
}
