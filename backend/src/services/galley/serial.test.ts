import { expect, it } from 'vitest'
import { Unavailable } from '../../contract/error.ts'
import { serialByKey } from './serial.ts'

it('runs work of one key in order, of others at once, and goes on after failures', async () => {
  const serial = serialByKey<string>()
  const log: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = serial('a', async () => {
    await gate.promise
    log.push('a1')
    throw new Error('no')
  })
  const second = serial('a', async () => log.push('a2'))
  await serial('b', async () => log.push('b1'))
  gate.resolve()
  await expect(first).rejects.toThrow('no')
  await second
  expect(log).toEqual(['b1', 'a1', 'a2'])
})

it('lets only so many wait', async () => {
  const serial = serialByKey<string>()
  const gate = Promise.withResolvers<void>()
  const waiting = Array.from({ length: 64 }, () => serial('a', () => gate.promise))
  await expect(serial('a', () => gate.promise)).rejects.toThrow(Unavailable)
  gate.resolve()
  await Promise.all(waiting)
  expect(await serial('a', async () => 'again')).toBe('again')
})
