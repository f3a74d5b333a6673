import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { pino } from 'pino'
import { Config, type ServiceName } from '../../backend/src/compose/config.ts'
import { startOne, type RunningOne } from '../../backend/src/compose/split.ts'
import { startLossyProxy, type LossyProxy } from '../support/lossy-proxy.ts'

/** host:port of each engine; all of them are needed. */
const engines = {
  etcd: process.env['TEST_ETCD']?.split(',')[0],
  redis: process.env['TEST_REDIS']?.split(',')[0],
  s3: process.env['TEST_MINIO']?.split(',')[0],
  opensearch: process.env['TEST_OPENSEARCH']?.split(',')[0],
}
const isWhole = Object.values(engines).every((address) => address !== undefined)
const patience = { timeout: 40_000, interval: 100 }

interface Status {
  status: string
  missing?: string[]
  degraded?: string[]
}

async function statusOf(url: string): Promise<Status & { code: number }> {
  const response = await fetch(`${url}/i/status`)
  return { code: response.status, ...((await response.json()) as Status) }
}

describe.skipIf(!isWhole)(
  'services started before their engines (TEST_ETCD, TEST_REDIS, ...)',
  () => {
    let folder: string
    let lines: { msg: string; dependency?: string }[]
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'tricord-order-'))
      lines = []
      await writeFile(join(folder, 'access'), process.env['TEST_S3_ACCESS_KEY'] ?? 'tricord')
      await writeFile(
        join(folder, 'secret'),
        process.env['TEST_S3_SECRET_KEY'] ?? 'tricord-on-loopback',
      )
    })
    afterEach(() => rm(folder, { recursive: true }))

    function configOf(
      at: Readonly<Record<keyof typeof engines, LossyProxy>>,
      port: number,
    ): Config {
      return Config.parse({
        data: folder,
        listen: '127.0.0.1:0',
        internalListen: '127.0.0.1:0',
        operatorListen: '127.0.0.1:0',
        advertise: `http://127.0.0.1:${String(port)}`,
        wideColumn: { kind: 'sqlite', synchronous: 'off' },
        registry: {
          kind: 'etcd',
          hosts: [`http://${at.etcd.address}`],
          prefix: `/test${folder}/`,
          leaseSeconds: 3,
        },
        presence: { kind: 'redis', address: at.redis.address, prefix: `test:${folder}:` },
        objects: {
          kind: 's3',
          endpoint: `http://${at.s3.address}`,
          bucket: 'nobody-made-this-one',
          accessKeyFile: join(folder, 'access'),
          secretKeyFile: join(folder, 'secret'),
        },
        search: {
          kind: 'opensearch',
          nodes: [`http://${at.opensearch.address}`],
          index: 'nobody-made-this-one',
        },
      })
    }

    it('say what is missing, get ready by themselves, and go on when helpers are lost', async () => {
      await using cleanup = new AsyncDisposableStack()
      const at = {
        etcd: cleanup.use(await startLossyProxy(engines.etcd ?? '')),
        redis: cleanup.use(await startLossyProxy(engines.redis ?? '')),
        s3: cleanup.use(await startLossyProxy(engines.s3 ?? '')),
        opensearch: cleanup.use(await startLossyProxy(engines.opensearch ?? '')),
      }
      for (const proxy of Object.values(at)) proxy.cut()
      const log = pino(
        { level: 'info' },
        { write: (line: string) => void lines.push(JSON.parse(line)) },
      )
      const start = async (name: ServiceName, port: number): Promise<RunningOne> =>
        cleanup.use(await startOne(name, configOf(at, port), { log }))
      const cargohold = await start('cargohold', 1)
      const brig = await start('brig', 2)
      const nginz = await start('nginz', 3)

      await vi.waitUntil(
        async () => (await statusOf(cargohold.operatorUrl)).missing?.length === 2,
        patience,
      )
      const waiting = await statusOf(cargohold.operatorUrl)
      expect(waiting).toMatchObject({ code: 503, status: 'waiting' })
      expect(waiting.missing?.toSorted()).toEqual([
        expect.stringMatching(/^etcd \(registry\): /),
        expect.stringMatching(/^s3 \(objects\): .*ECONN/),
      ])
      expect(await statusOf(nginz.operatorUrl)).toMatchObject({ code: 503, status: 'waiting' })

      at.etcd.mend()
      at.s3.mend()
      await vi.waitUntil(async () => (await statusOf(nginz.operatorUrl)).code === 200, patience)
      // Search only helps: brig is ready without, and says so.
      await vi.waitUntil(async () => (await statusOf(brig.operatorUrl)).code === 200, patience)
      expect((await statusOf(brig.operatorUrl)).degraded).toEqual([
        expect.stringMatching(/^opensearch \(search\): /),
      ])
      await vi.waitUntil(
        async () => /no bucket/.test((await statusOf(cargohold.operatorUrl)).missing?.[0] ?? ''),
        patience,
      )

      at.opensearch.mend()
      await vi.waitUntil(
        async () => /no index/.test((await statusOf(brig.operatorUrl)).degraded?.[0] ?? ''),
        patience,
      )
      at.etcd.cut()
      await vi.waitUntil(
        async () => (await statusOf(nginz.operatorUrl)).degraded?.length === 1,
        patience,
      )
      expect(await statusOf(nginz.operatorUrl)).toMatchObject({ code: 200, status: 'ready' })
      at.etcd.mend()
      await vi.waitUntil(
        async () => (await statusOf(nginz.operatorUrl)).degraded === undefined,
        patience,
      )
      const told = lines
        .filter(({ dependency }) => dependency === 's3 (objects)')
        .map(({ msg }) => msg)
      expect(told).toEqual(['waiting for a dependency'])
    }, 180_000)
  },
)
