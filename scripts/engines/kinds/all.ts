import type { Engine, EngineName } from '../engine.ts'
import { cassandra } from './cassandra.ts'
import { etcd } from './etcd.ts'
import { minio } from './minio.ts'
import { redis, sentinel } from './redis.ts'

export const engines: Readonly<Partial<Record<EngineName, Engine>>> = {
  cassandra,
  minio,
  redis,
  sentinel,
  etcd,
}
