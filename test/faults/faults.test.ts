import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { engineOf, type RunningEngine } from '../../scripts/engines/start.ts'
import type { ProcessName } from '../support/cluster-processes.ts'
import { openStage, type Scene, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
}, 600_000)
afterAll(() => stage[Symbol.asyncDispose](), 60_000)

type EngineName = 'cassandra' | 'opensearch' | 'minio' | 'redis' | 'sentinel' | 'etcd'

const nodesOf = ({ engines }: Pick<Scene, 'engines'>, name: EngineName): RunningEngine['nodes'] =>
  engineOf(engines, name).nodes

type Node = RunningEngine['nodes'][number]
const killing = { begin: (node: Node) => node.kill(), end: (node: Node) => node.start() }
const freezing = { begin: (node: Node) => node.freeze(), end: (node: Node) => node.thaw() }

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
      befall: (scene) => befallNodes(killing, scene, name, indexes, 5_000),
    })
  })

  it.each<[EngineName, readonly number[]]>([
    ['cassandra', [2]],
    ['minio', [1]],
    ['etcd', [2]],
    ['redis', [1]],
    ['opensearch', [2]],
  ])('while %s %j stands still and wakes up', async (name, indexes) => {
    await stage.withstand({
      name: `${name} ${indexes.join(', ')} frozen`,
      seed: nextSeed(),
      befall: (scene) => befallNodes(freezing, scene, name, indexes, 8_000),
    })
  })

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
