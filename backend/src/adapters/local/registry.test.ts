import { expect, it } from 'vitest'
import { registryContract } from '../../ports/registry.contract.ts'
import { localRegistry } from './registry.ts'

registryContract(() => Promise.resolve(localRegistry()))

it('lists what the configuration names beside what registers', async () => {
  const listed = { service: 'brig', id: 'b1', address: 'http://10.0.0.1:4000', isDraining: false }
  await using registry = localRegistry([listed])
  expect(registry.instances('brig')).toEqual([listed])
  expect(registry.instances('galley')).toEqual([])
  const own = { ...listed, id: 'b2' }
  await using _handle = await registry.register(own)
  expect(registry.instances('brig')).toEqual([listed, own])
})

it('lists an instance once that is both configured and registers', async () => {
  const listed = { service: 'brig', id: 'b1', address: 'http://10.0.0.1:4000', isDraining: false }
  await using registry = localRegistry([listed])
  await using handle = await registry.register({ ...listed })
  await handle.setDraining()
  expect(registry.instances('brig')).toEqual([{ ...listed, isDraining: true }])
})
