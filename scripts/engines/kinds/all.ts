import type { Engine, EngineName } from '../engine.ts'
import { cassandra } from './cassandra.ts'
import { etcd } from './etcd.ts'
import { minio } from './minio.ts'
import { opensearch } from './opensearch.ts'
import { redis, sentinel } from './redis.ts'

export const engines: Readonly<Record<EngineName, Engine>> = {
  cassandra,
  opensearch,
  minio,
  redis,
  sentinel,
  etcd,
}
