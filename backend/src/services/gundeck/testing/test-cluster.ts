import { openSqlite } from '../../../adapters/sqlite/wide-column.ts'
import { Unavailable } from '../../../contract/error.ts'
import { shardCount, shardOf } from '../../../contract/gundeck/ring.ts'
import type { RingMap } from '../../../contract/gundeck/ring.ts'
import type { UserId } from '../../../contract/ids.ts'
import { fakeClock } from '../../../platform/fake-clock.ts'
import type { FakeClock } from '../../../platform/fake-clock.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'
import type { GundeckHooks } from '../index.ts'
import { serveBeat } from '../ring/beat-thread.ts'
import type { MainPort } from '../ring/beat-thread.ts'
import { ringStore } from '../store/ring.ts'
import { beatLine } from './beat-line.ts'
import { faultyStore } from './faulty-store.ts'
import { newUser, settle, startTestGundeck } from './test-gundeck.ts'
import type { TestGundeck } from './test-gundeck.ts'

/** One of several gundecks on one store. */
export interface Member extends TestGundeck {
  readonly name: string
  /** Stops at once whatever it does, without a trace on its clocks; `thaw` lets it go on. */
  freeze(): void
  /** The same, but for the thread that beats, if it has one. */
  hang(): void
  thaw(): void
  /** Neither the store nor the others answer. */
  cutOff(): void
  mend(): void
  /** Its wall clock, against that of the others. */
  offsetMs: number
  readonly isFrozen: boolean
}

export interface Cluster {
  readonly members: Member[]
  readonly store: WideColumnStore
  readonly clock: FakeClock
  /** Another gundeck, which registers in the ring; it owns nothing before time passes. */
  join(name: string, hooks?: GundeckHooks): Promise<Member>
  /** Moves time on and lets everything happen that is due. */
  advance(ms: number): Promise<void>
  /** Resolves with what the call does while time passes. */
  during<T>(call: Promise<T>): Promise<T>
  /** As a member knows it. */
  map(member: Member): Promise<RingMap>
  ownerOf(user: UserId): Promise<Member>
  /** A user whose inbox the member owns. */
  userOf(member: Member): Promise<UserId>
  stop(): Promise<void>
}

const stepMs = 50

/**
 * Several gundecks on one store in memory, whose time passes together.
 *
 * @param options.hasBeatThreads Each gives its sign of life from another thread, as it were
 */
export async function startCluster(
  names: readonly string[],
  hooks: Readonly<Record<string, GundeckHooks>> = {},
  { hasBeatThreads = false }: { readonly hasBeatThreads?: boolean } = {},
): Promise<Cluster> {
  const clock = fakeClock()
  const store = await openSqlite({ file: ':memory:', nowMs: () => clock.nowMs() })
  const peers = new Map<string, TestGundeck['client']>()
  const members: Member[] = []
  let starts = 0

  async function advance(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
      await clock.advance(Math.min(stepMs, ms - passedMs))
      await settle()
    }
  }

  async function join(name: string, memberHooks?: GundeckHooks): Promise<Member> {
    starts += 1
    const address = `${name}:${String(starts)}`
    let frozen: PromiseWithResolvers<void> | undefined
    let isThreadFrozen = false
    let isCutOff = false
    const whileFrozen = async (): Promise<void> => {
      while (frozen !== undefined) await frozen.promise
    }
    const whileThreadFrozen = async (): Promise<void> => {
      while (frozen !== undefined && isThreadFrozen) await frozen.promise
    }
    /** What a process does waits while it is frozen, before and after: also an answer that came. */
    const gated = <T extends object>(target: T, isRemote: boolean, gate = whileFrozen): T =>
      new Proxy(target, {
        get(of, key) {
          const value: unknown = Reflect.get(of, key)
          if (typeof value !== 'function') return value
          return async (...args: unknown[]) => {
            await gate()
            if (isRemote && isCutOff) throw new Unavailable('the line is cut')
            const result: unknown = await (value as (...given: unknown[]) => unknown).apply(
              of,
              args,
            )
            await gate()
            if (isRemote && isCutOff) throw new Unavailable('the line is cut')
            return result
          }
        },
      })
    const clockOf = (gate: () => Promise<void>) => ({
      ...clock,
      nowMs: () => clock.nowMs() + member.offsetMs,
      monotonicMs: () => clock.monotonicMs(),
      get sleeping() {
        return clock.sleeping
      },
      async sleep(ms: number, signal?: AbortSignal) {
        await clock.sleep(ms, signal)
        await gate()
      },
    })
    function startBeatThread(): MainPort {
      const line = beatLine({
        monotonicMs: () => clock.monotonicMs(),
        atMain: whileFrozen,
        atThread: whileThreadFrozen,
      })
      const threadDb = faultyStore(gated(store, true, whileThreadFrozen))
      threadDb.fault = (table) => faulty.fault(table)
      const ring = ringStore(threadDb)
      serveBeat(line.thread, {
        clock: clockOf(whileThreadFrozen),
        store: {
          instance: (of) => ring.instance(of),
          async raise(...args) {
            await memberHooks?.atRing?.('raising')
            const isApplied = await ring.raise(...args)
            await memberHooks?.atRing?.('raised')
            return isApplied
          },
        },
      })
      return line.main
    }
    const faulty = faultyStore(gated(store, true))
    const member = { name, offsetMs: 0 } as Member
    const started = await startTestGundeck({
      clock: clockOf(whileFrozen),
      store: faulty,
      address,
      findPeer: (at) => {
        const client = peers.get(at)
        return client && gated(client, true)
      },
      config: { instance: name },
      ...(memberHooks ? { hooks: memberHooks } : {}),
      ...(hasBeatThreads ? { beatPort: startBeatThread() } : {}),
    })
    // Calls of others wait in front of a frozen process.
    peers.set(address, gated(started.client, true))
    Object.defineProperties(member, {
      ...Object.getOwnPropertyDescriptors(started),
      isFrozen: { get: () => frozen !== undefined },
    })
    Object.assign(member, {
      freeze() {
        frozen ??= Promise.withResolvers()
        isThreadFrozen = true
      },
      hang() {
        frozen ??= Promise.withResolvers()
      },
      thaw() {
        frozen?.resolve()
        frozen = undefined
        isThreadFrozen = false
      },
      cutOff() {
        isCutOff = true
      },
      mend() {
        isCutOff = false
      },
    })
    members.push(member)
    return member
  }

  const map = async (member: Member): Promise<RingMap> => {
    const { body } = await member.client.getRing({ body: {} })
    return body
  }

  async function ownerOf(user: UserId): Promise<Member> {
    for (const member of members) {
      if (member.isFrozen) continue
      const { owners, shards } = await map(member)
      const owner = owners[shards[shardOf(user)] ?? -1]
      const found = members.findLast(({ name }) => owner?.id.startsWith(`${name}/`))
      if (found) return found
    }
    throw new Error('nobody owns the inbox')
  }

  const cluster: Cluster = {
    members,
    store,
    clock,
    join,
    advance,
    async during(call) {
      let isOver = false
      const over = (): void => {
        isOver = true
      }
      call.then(over, over)
      for (let turn = 0; turn < 1200; turn += 1) {
        await settle()
        if (isOver) return call
        await advance(stepMs)
      }
      throw new Error('it did not come to an end within a minute')
    },
    map,
    ownerOf,
    async userOf(member) {
      for (;;) {
        const user = newUser()
        if ((await ownerOf(user)) === member) return user
      }
    },
    async stop() {
      for (const member of members) member.thaw()
      await cluster.during(Promise.all(members.map((member) => member.stop())))
    },
  }
  for (const name of names) await join(name, hooks[name])
  // Until what the first one took is spread.
  await advance(20_000)
  return cluster
}

/** How many shards each has, by name. */
export function countsOf({ owners, shards }: RingMap): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const shard of Array.from({ length: shardCount }, (_, index) => index)) {
    const id = owners[shards[shard] ?? -1]?.id
    const name = id === undefined ? 'nobody' : id.slice(0, id.lastIndexOf('/'))
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
