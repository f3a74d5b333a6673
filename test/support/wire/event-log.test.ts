import { expect, it } from 'vitest'

import { eventLog } from './event-log.ts'

const is =
  (wanted: string) =>
  (entry: string): boolean =>
    entry === wanted

it('gives out what arrived before the question', async () => {
  const log = eventLog<string>('bob')
  log.add('early')
  expect(await log.take(is('early'), 1)).toBe('early')
})

it('waits for what arrives later', async () => {
  const log = eventLog<string>('bob')
  const late = log.take(is('late'), 1_000)
  log.add('something else')
  log.add('late')
  expect(await late).toBe('late')
  expect(log.all).toEqual(['something else', 'late'])
})

it('gives each entry to one question only', async () => {
  const log = eventLog<string>('bob')
  log.add('hi')
  await log.take(is('hi'), 1)
  await expect(log.take(is('hi'), 1)).rejects.toThrow('taken before')
  expect(log.seen(is('hi'))).toEqual(['hi'])
})

it('tells what did arrive when the time is up', async () => {
  const log = eventLog<string>('bob')
  log.add('unrelated')
  await expect(log.take(is('hi'), 1, 'a greeting')).rejects.toThrow(
    /bob waited for a greeting: nothing within 1 ms; 1 arrived\n {2}"unrelated"/,
  )
})

it('fails those who wait when the source ends', async () => {
  const log = eventLog<string>('bob')
  const waiting = log.take(is('hi'), 60_000)
  log.add('before the end')
  log.end(new Error('the socket closed'))
  await expect(waiting).rejects.toThrow('the socket closed')
  await expect(log.take(is('hi'), 60_000)).rejects.toThrow('the socket closed')
  expect(await log.take(is('before the end'), 1)).toBe('before the end')
})
