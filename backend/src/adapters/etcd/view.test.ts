import { assert, property, uint8Array, string, oneof, json } from 'fast-check'
import { expect, it } from 'vitest'
import type { Instance } from '../../ports/registry.ts'
import { nextToken, parseToken } from './locks.ts'
import { createView, formatInstance, parseInstance } from './view.ts'

const graceMs = 10_000
const at = (id: string, changes: Partial<Instance> = {}): Instance => ({
  service: 'brig',
  id,
  address: `http://${id}`,
  isDraining: false,
  ...changes,
})

function setUp() {
  const now = { ms: 0, isInDoubt: false }
  const changes: string[] = []
  const view = createView({
    nowMs: () => now.ms,
    isInDoubt: () => now.isInDoubt,
    graceMs,
    changed: (service) => changes.push(service),
  })
  return { view, now, changes }
}

it('follows what is read and what changes, and tells each change once', () => {
  const { view, changes } = setUp()
  view.replace(new Map([['k1', at('one')]]))
  view.set('k2', at('two'))
  view.set('k2', at('two'))
  expect(view.of('brig')).toEqual([at('one'), at('two')])
  view.delete('k1')
  view.delete('k1')
  view.replace(new Map([['k2', at('two')]]))
  expect(view.of('brig')).toEqual([at('two')])
  expect(changes).toEqual(['brig', 'brig', 'brig'])
})

it('forgets at once who vanished while all was well', () => {
  const { view } = setUp()
  view.replace(new Map([['k1', at('one')]]))
  view.replace(new Map())
  expect(view.of('brig')).toEqual([])
})

it('keeps who vanished in an outage for a while, in which they may come back', () => {
  const { view, now } = setUp()
  view.replace(
    new Map([
      ['k1', at('one')],
      ['k2', at('two')],
      ['k3', at('three')],
    ]),
  )
  now.isInDoubt = true
  view.replace(new Map([['k3', at('three')]]))
  view.delete('k3')
  expect(view.of('brig')).toHaveLength(3)
  now.isInDoubt = false
  view.set('k2', at('two', { isDraining: true }))
  now.ms = graceMs - 1
  view.expire()
  // Readings in between do not shorten the while.
  view.replace(new Map([['k2', at('two')]]))
  expect(view.of('brig')).toHaveLength(3)
  now.ms = graceMs
  view.expire()
  expect(view.of('brig')).toEqual([at('two')])
})

it('holds on to instances of its own', () => {
  const { view } = setUp()
  view.setOwn('k1', at('one'))
  view.replace(new Map())
  view.set('k1', at('one', { address: 'http://old' }))
  view.delete('k1')
  expect(view.of('brig')).toEqual([at('one')])
  view.deleteOwn('k1')
  expect(view.of('brig')).toEqual([])
})

it('reads back what it writes, and makes nothing of anything else', () => {
  expect(parseInstance(Buffer.from(formatInstance(at('one'))))).toEqual(at('one'))
  const bytes = oneof(
    uint8Array(),
    oneof(string(), json()).map((text) => Buffer.from(text)),
  )
  assert(
    property(bytes, (value) => {
      const instance = parseInstance(value)
      if (instance !== undefined)
        expect(parseInstance(Buffer.from(formatInstance(instance)))).toEqual(instance)
      expect(parseToken(value)).toBeGreaterThanOrEqual(0n)
    }),
  )
})

it('gives tokens that rise whichever way clocks go', () => {
  const first = nextToken(0n, Date.UTC(2026, 0, 1))
  expect(nextToken(first, Date.UTC(2025, 0, 1))).toBe(first + 1n)
  expect(nextToken(first, Date.UTC(2026, 0, 1))).toBe(first + 1n)
  expect(nextToken(0n, Date.UTC(2026, 0, 2))).toBeGreaterThan(first)
  expect(nextToken(0n, -5)).toBe(1n)
})
