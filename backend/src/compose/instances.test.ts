import { expect, it } from 'vitest'
import { localRegistry } from '../adapters/local/registry.ts'
import { fakeClock } from '../platform/fake-clock.ts'
import { createInstances } from './instances.ts'

const listed = (...ids: string[]) =>
  localRegistry(ids.map((id) => ({ service: 'galley', id, address: id, isDraining: false })))

it('goes round those that are there', () => {
  const instances = createInstances(listed('g1', 'g2'), fakeClock())
  const asked = Array.from({ length: 4 }, () => instances.addressOf('galley'))
  expect(asked).toEqual(['g1', 'g2', 'g1', 'g2'])
  expect(() => instances.addressOf('brig')).toThrow(/find brig/)
})

it('passes over one that did not answer, longer each time, until it does', async () => {
  const clock = fakeClock()
  const instances = createInstances(listed('g1', 'g2'), clock)
  const asked = (): Set<string> =>
    new Set(Array.from({ length: 4 }, () => instances.addressOf('galley')))
  instances.report('g1', false)
  expect(asked()).toEqual(new Set(['g2']))
  await clock.advance(600)
  expect(asked()).toEqual(new Set(['g1', 'g2']))
  instances.report('g1', false)
  await clock.advance(600)
  expect(asked()).toEqual(new Set(['g2']))
  // When nobody is left, any is as good as the other.
  instances.report('g2', false)
  expect(asked()).toEqual(new Set(['g1', 'g2']))
  instances.report('g1', true)
  expect(asked()).toEqual(new Set(['g1']))
})
