import { randomBytes } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { primaryName } from '../../scripts/engines/kinds/redis.ts'
import { engineOf, type RunningEngine } from '../../scripts/engines/start.ts'
import type { ProcessName } from '../support/cluster-processes.ts'
import type { UploadedAsset } from '../support/wire/raw.ts'
import { openStage, untilItOwns, type Pastime, type Scene, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
}, 600_000)
afterAll(() => stage[Symbol.asyncDispose](), 60_000)

type EngineName = 'cassandra' | 'opensearch' | 'minio' | 'redis' | 'sentinel' | 'etcd'

const nodesOf = ({ engines }: Pick<Scene, 'engines'>, name: EngineName): RunningEngine['nodes'] =>
  engineOf(engines, name).nodes

type Node = RunningEngine['nodes'][number]
const killing = { begin: (node: Node) => node.kill(), end: keepStarting }
const freezing = { begin: (node: Node) => node.freeze(), end: (node: Node) => node.thaw() }

/** As systemd does: Cassandra ends itself when it starts before the nodes that it asks about the others. */
async function keepStarting(node: Node): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await node.start()
      return
    } catch (error) {
      if (attempt === 5) throw error
    }
  }
}

/** Something happens to some nodes of an engine at one instant, and is over after so long. */
async function befallNodes(
  { begin, end }: typeof killing,
  scene: Scene,
  name: EngineName,
  indexes: readonly number[],
  ms: number,
): Promise<void> {
  const nodes = nodesOf(scene, name).filter(({ index }) => indexes.includes(index))
  const each = async (act: (node: Node) => Promise<void>): Promise<void> => {
    await Promise.all(nodes.map(act))
  }
  await scene.without(
    name,
    () => each(begin),
    () => each(end),
    ms,
  )
  await engineOf(scene.engines, name).untilWhole({ limitMs: 180_000 })
}

/** Whose part of the work a person does while this engine is in trouble. */
const pastimeFor = (name: EngineName): { meanwhile?: Pastime } => {
  if (name === 'minio') return { meanwhile: sharing() }
  return name === 'opensearch' ? { meanwhile: searching } : {}
}

/** Files are put there; what was acknowledged is there in the end, byte by byte. */
function sharing(): Pastime {
  const shared: { asset: UploadedAsset; bytes: Buffer }[] = []
  return {
    name: 'files',
    async act(person) {
      const bytes = randomBytes(50_000)
      shared.push({ asset: await person.uploadAsset({ bytes }), bytes })
    },
    async check(person) {
      for (const { asset, bytes } of shared) {
        const reply = await person.downloadAsset(asset)
        expect(reply.status).toBe(200)
        expect(bytes.equals(reply.bytes)).toBe(true)
      }
    },
  }
}

const searching: Pastime = {
  name: 'searches',
  async act(person) {
    await person.request('GET', '/search/contacts', { query: { q: 'ben' }, expect: 200 })
  },
  check: (person) => searching.act(person),
}

async function leaderOfEtcd(scene: Scene): Promise<number> {
  for (const node of nodesOf(scene, 'etcd')) {
    const reply = await fetch(`http://${node.address}/v3/maintenance/status`, {
      method: 'POST',
      body: '{}',
    })
    const { header, leader } = (await reply.json()) as {
      header: { member_id: string }
      leader: string
    }
    if (header.member_id === leader) return node.index
  }
  throw new Error('etcd has no leader')
}

async function primaryOfRedis(scene: Scene): Promise<number> {
  const [sentinel] = nodesOf(scene, 'sentinel')
  const [host = '', port = ''] = sentinel?.address.split(':') ?? []
  const client = new Redis({ host, port: Number(port), lazyConnect: true })
  try {
    const answer = await client.call('SENTINEL', 'get-master-addr-by-name', primaryName)
    const [address] = answer as string[]
    const found = nodesOf(scene, 'redis').find((node) => node.address.startsWith(`${address}:`))
    if (found === undefined) throw new Error(`${String(address)} is none of the Redis nodes`)
    return found.index
  } finally {
    client.disconnect()
  }
}

let seed = 1
const nextSeed = (): number => (seed += 1)

describe('people lose nothing and go on', () => {
  it.each<[ProcessName]>([
    ['gundeck-1'],
    ['gundeck-2'],
    ['cannon-1'],
    ['galley-1'],
    ['brig-1'],
    ['nginz-1'],
  ])('while %s is killed and comes back', async (name) => {
    await stage.withstand({
      name: `${name} killed`,
      seed: nextSeed(),
      befall: (scene) => scene.killFor(name, 3_000),
    })
  })

  it.each<[ProcessName]>([['gundeck-1'], ['cannon-1'], ['galley-1'], ['nginz-1']])(
    'while %s stands still and wakes up',
    async (name) => {
      await stage.withstand({
        name: `${name} frozen`,
        seed: nextSeed(),
        befall: (scene) => scene.freezeFor(name, 6_000),
      })
    },
  )

  it.each<[EngineName, readonly number[]]>([
    ['cassandra', [1]],
    ['cassandra', [3]],
    ['minio', [2]],
    ['etcd', [1]],
    ['etcd', [1, 2, 3]],
    ['redis', [1]],
    ['redis', [1, 2, 3]],
    ['opensearch', [1]],
  ])('while %s %j is killed and comes back', async (name, indexes) => {
    await stage.withstand({
      name: `${name} ${indexes.join(', ')} killed`,
      seed: nextSeed(),
      ...pastimeFor(name),
      befall: (scene) => befallNodes(killing, scene, name, indexes, 5_000),
    })
  })

  it.each<[EngineName, readonly number[]]>([
    ['cassandra', [2]],
    ['minio', [1]],
    ['etcd', [2]],
    ['opensearch', [2]],
  ])('while %s %j stands still and wakes up', async (name, indexes) => {
    await stage.withstand({
      name: `${name} ${indexes.join(', ')} frozen`,
      seed: nextSeed(),
      ...pastimeFor(name),
      befall: (scene) => befallNodes(freezing, scene, name, indexes, 8_000),
    })
  })

  it('while the leader of etcd is killed and comes back', async () => {
    await stage.withstand({
      name: 'the leader of etcd killed',
      seed: nextSeed(),
      async befall(scene) {
        const leader = await leaderOfEtcd(scene)
        await befallNodes(killing, scene, 'etcd', [leader], 8_000)
      },
    })
  })

  it.each([
    ['is killed and comes back', killing],
    ['stands still until another one is chosen', freezing],
  ])("while Redis's primary %s", async (what, way) => {
    await stage.withstand({
      name: `the primary of Redis ${what}`,
      seed: nextSeed(),
      async befall(scene) {
        const before = await primaryOfRedis(scene)
        // Sentinels take it for down after five seconds, and agree on another one.
        await befallNodes(way, scene, 'redis', [before], 12_000)
        expect(await primaryOfRedis(scene)).not.toBe(before)
      },
    })
  })

  it('while a drive of MinIO is gone', async () => {
    await stage.withstand({
      name: 'a drive of MinIO gone',
      seed: nextSeed(),
      meanwhile: sharing(),
      async befall(scene) {
        const [node] = nodesOf(scene, 'minio')
        if (node === undefined) throw new Error('MinIO has nodes')
        const drive = join(node.directory, 'drive2')
        await scene.without(
          'minio',
          () => rename(drive, `${drive}.gone`),
          async () => {
            // It may have made an empty one in its place.
            await rm(drive, { recursive: true, force: true })
            await rename(`${drive}.gone`, drive)
          },
          6_000,
        )
        await engineOf(scene.engines, 'minio').untilWhole({ limitMs: 180_000 })
      },
    })
  })

  it.each([1_000, 3_600_000, -3_600_000, 365 * 86_400_000])(
    'while the clocks of one gundeck and one galley are %d ms ahead',
    async (clockOffsetMs) => {
      await stage.withstand({
        name: `clocks ${String(clockOffsetMs)} ms ahead`,
        seed: nextSeed(),
        async befall(scene) {
          const how = { clockOffsetMs, ms: 8_000 }
          await Promise.all([
            scene.inAnotherWay('gundeck-1', how),
            scene.inAnotherWay('galley-2', how),
          ])
        },
      })
    },
  )

  it.each([
    { dieAt: 'given-ids', times: 30 },
    { dieAt: 'bucket-opened', times: 2 },
    { dieAt: 'committed', times: 30 },
    { dieAt: 'fenced', times: 30 },
    { dieAt: 'answered', times: 30 },
    { dieAt: 'pushed', times: 30 },
    { dieAt: 'registered', times: 1 },
    { dieAt: 'raising', times: 3 },
    { dieAt: 'raised', times: 3 },
  ])('while the owner of inboxes dies at the step $dieAt', async (how) => {
    await stage.withstand({
      name: `gundeck-2 died at ${how.dieAt}`,
      seed: nextSeed(),
      befall: (scene) => scene.inAnotherWay('gundeck-2', how),
    })
  })

  it.each(['releasing', 'released'])(
    'while the owner of inboxes that is stopped dies at the step %s',
    async (dieAt) => {
      await stage.withstand({
        name: `gundeck-2 was stopped and died at ${dieAt}`,
        seed: nextSeed(),
        befall: (scene) =>
          scene.inAnotherWay('gundeck-2', {
            dieAt,
            times: 1,
            async urge(server) {
              await untilItOwns(server, 'gundeck-2')
              server.kill('SIGTERM')
            },
          }),
      })
    },
  )

  it.each(['taking-over', 'took-over'])(
    'when an owner of inboxes dies, and the other one at the step %s',
    async (dieAt) => {
      await stage.withstand({
        name: `gundeck-1 killed, gundeck-2 died at ${dieAt}`,
        seed: nextSeed(),
        isOutage: true,
        async befall(scene) {
          await scene.inAnotherWay('gundeck-2', {
            dieAt,
            times: 1,
            urge: () => scene.kill('gundeck-1'),
          })
          await scene.start('gundeck-1')
        },
      })
    },
  )

  it('while a Cassandra node is so slow that it is hardly there', async () => {
    await stage.withstand({
      name: 'a slow Cassandra node',
      seed: nextSeed(),
      async befall(scene) {
        const [node] = nodesOf(scene, 'cassandra')
        for (let turn = 0; turn < 20; turn += 1) {
          await node?.freeze()
          await sleep(350)
          await node?.thaw()
          await sleep(150)
        }
      },
    })
  })

  it('when two of three Cassandra nodes are gone: sends fail, and work again without hands', async () => {
    await stage.withstand({
      name: 'two Cassandra nodes gone',
      seed: nextSeed(),
      isOutage: true,
      befall: (scene) => befallNodes(killing, scene, 'cassandra', [2, 3], 8_000),
    })
  })

  it('when all of Cassandra is killed at one instant', async () => {
    await stage.withstand({
      name: 'all of Cassandra killed',
      seed: nextSeed(),
      isOutage: true,
      befall: (scene) => befallNodes(killing, scene, 'cassandra', [1, 2, 3], 2_000),
    })
  })
})
