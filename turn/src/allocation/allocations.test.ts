import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ipv4, ipv6, type Endpoint } from '../wire/ip.ts'
import type { Allocation } from './allocation.ts'
import { allocationTable } from './allocations.ts'
import { ports, wholeRange } from './ports.ts'
import { quotas, sourceKey } from './quotas.ts'
import { timerWheel } from './timer-wheel.ts'
import { TokenBucket } from './token-bucket.ts'

describe('the table of allocations', () => {
  it('finds what was added and not removed, whatever the order', () => {
    const small = fc.integer({ min: 0, max: 3 })
    const endpoint: fc.Arbitrary<Endpoint> = fc.record({
      ip: fc.oneof(
        small.map(ipv4),
        fc.tuple(small, small, small, small).map((w) => ipv6(...w)),
      ),
      port: fc.integer({ min: 0, max: 5 }),
    })
    const step = fc.record({ isAdd: fc.boolean(), listener: small, client: endpoint })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const table = allocationTable(8)
        const model = new Map<string, Allocation>()
        for (const { isAdd, listener, client } of steps) {
          const { a, b, c, d } = client.ip
          const key = [listener, a, b, c, d, client.port].join()
          const known = model.get(key)
          if (isAdd && known === undefined) {
            const made = { id: table.nextId(), path: { listener, client } } as Allocation
            table.add(made)
            model.set(key, made)
          } else if (!isAdd && known !== undefined) {
            table.remove(known)
            table.remove(known)
            model.delete(key)
          }
          expect(table.findBy(listener, client)).toBe(model.get(key))
          expect(table.size).toBe(model.size)
        }
        for (const each of model.values()) {
          expect(table.findBy(each.path.listener, each.path.client)).toBe(each)
        }
        expect(new Set(table.values())).toEqual(new Set(model.values()))
      }),
    )
  })
})

describe('ports', () => {
  const range = { from: 40_000, to: 40_009, restSeconds: 120 }
  const any = { isEven: false, isPair: false }

  it('are each given once, at random, and rest when they are free again', () => {
    const own = ports(range, wholeRange)
    const taken = Array.from({ length: 10 }, () => own.pick(0, any, (port) => port) ?? 0)
    expect(taken.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 10 }, (_, at) => 40_000 + at),
    )
    expect(own.pick(0, any, (port) => port)).toBeUndefined()
    own.free(40_003, 10)
    expect(own.pick(129, any, (port) => port)).toBeUndefined()
    expect(own.pick(130, any, (port) => port)).toBe(40_003)
    const orders = new Set(
      Array.from({ length: 20 }, () => ports(range, wholeRange).pick(0, any, (port) => port)),
    )
    expect(orders.size).toBeGreaterThan(3)
  })

  it('are even where that is asked, and their neighbours free where both are', () => {
    const own = ports(range, wholeRange)
    for (let count = 0; count < 5; count += 1) {
      const port = own.pick(0, { isEven: true, isPair: true }, (port) => port) ?? 1
      expect(port % 2).toBe(0)
      own.hold(port + 1, 30)
    }
    expect(own.pick(0, any, (port) => port)).toBeUndefined()
    expect(own.pick(30, any, (port) => port)).toBeDefined()
  })

  it('are shared between processes by pairs, all of them and none twice', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1024, max: 2000 }),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 5 }),
        (from, length, count) => {
          const seen: number[] = []
          for (let index = 0; index < count; index += 1) {
            const own = ports({ from, to: from + length, restSeconds: 0 }, { index, count })
            for (;;) {
              const port = own.pick(0, any, (port) => port)
              if (port === undefined) break
              seen.push(port)
            }
          }
          expect(new Set(seen).size).toBe(seen.length)
          const firstPair = Math.ceil(from / 2)
          const lastPair = Math.floor((from + length - 1) / 2)
          expect(seen.length).toBe(Math.max(0, lastPair - firstPair + 1) * 2)
          expect(seen.every((port) => port >= from && port <= from + length)).toBe(true)
        },
      ),
    )
  })

  it('that another program holds are left alone for a while', () => {
    const own = ports(range, wholeRange)
    let attempts = 0
    const refuse = (): undefined => {
      attempts += 1
      return undefined
    }
    expect(own.pick(0, any, refuse)).toBeUndefined()
    expect(attempts).toBe(10)
    expect(own.pick(5, any, refuse)).toBeUndefined()
    expect(attempts).toBe(10)
    own.pick(10, any, refuse)
    expect(attempts).toBe(20)
  })
})

describe('quotas', () => {
  it('count over all processes, as far as they told', () => {
    const [one, other] = [quotas(), quotas()]
    one.add('user:a')
    one.add('user:a')
    other.add('user:a')
    other.merge(one.changes())
    expect(other.count('user:a')).toBe(3)
    expect(one.changes()).toEqual({})
    one.remove('user:a')
    other.merge(one.changes())
    expect(other.count('user:a')).toBe(2)
    expect(one.count('user:b')).toBe(0)
  })

  it('count a /64 of IPv6 and a single IPv4 address as one source', () => {
    expect(sourceKey(ipv4(0x01020304))).toBe('1.2.3.4')
    expect(sourceKey(ipv6(0x20010db8, 1, 2, 3))).toBe(sourceKey(ipv6(0x20010db8, 1, 9, 9)))
    expect(sourceKey(ipv6(0x20010db8, 1, 2, 3))).not.toBe(sourceKey(ipv6(0x20010db8, 2, 2, 3)))
  })
})

describe('the wheel', () => {
  it('calls each at its second, also those further away than a turn, and those in the past', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 90, max: 160 }), { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 10 }),
        (seconds, steps) => {
          const wheel = timerWheel(100, 16)
          const called: number[] = []
          for (const at of seconds) wheel.add(at, () => called.push(at))
          let now = 100
          for (const step of [0, ...steps]) {
            now += step
            wheel.tick(now)
            const due = seconds.filter((at) => Math.max(at, 100) <= now)
            expect(called.toSorted((a, b) => a - b)).toEqual(due.toSorted((a, b) => a - b))
          }
        },
      ),
    )
  })

  it('calls what a call adds', () => {
    const wheel = timerWheel(0, 8)
    const called: number[] = []
    const again = (now: number): void => {
      called.push(now)
      if (now < 20) wheel.add(now + 5, again)
    }
    wheel.add(5, again)
    for (let now = 1; now <= 30; now += 1) wheel.tick(now)
    expect(called).toEqual([5, 10, 15, 20])
  })
})

it('a bucket lets through what it is told on average, and a second of it at once', () => {
  const bucket = new TokenBucket(8000, 0)
  expect(bucket.take(1001, 0)).toBe(false)
  expect(bucket.take(1000, 0)).toBe(true)
  expect(bucket.take(1, 0)).toBe(false)
  expect(bucket.take(10, 10)).toBe(true)
  expect(bucket.take(1, 10)).toBe(false)
  expect(bucket.take(1000, 100_000)).toBe(true)
  expect(new TokenBucket(0, 0).take(1e9, 0)).toBe(true)
})
