import { expect, it } from 'vitest'
import { insaneClocks } from './clock-sanity.ts'

const hourMs = 3_600_000
const reading = (name: string, offsetMs: number, joined: bigint) => ({ name, offsetMs, joined })
const nobody = new Set<string>()

it('does not believe the one that differs from the others', () => {
  const readings = [reading('a', 0, 1n), reading('b', 300, 2n), reading('c', hourMs, 3n)]
  expect(insaneClocks(readings, nobody)).toEqual(new Set(['c']))
  const ours = [reading('a', 0, 1n), reading('b', -hourMs, 2n), reading('c', -hourMs, 3n)]
  expect(insaneClocks(ours, nobody)).toEqual(new Set(['a']))
})

it('believes the older registration of two, and the older half of four', () => {
  const two = [reading('a', 0, 2n), reading('b', hourMs, 1n)]
  expect(insaneClocks(two, nobody)).toEqual(new Set(['a']))
  const four = [...two, reading('c', 10, 3n), reading('d', hourMs + 10, 4n)]
  expect(insaneClocks(four, nobody)).toEqual(new Set(['a', 'c']))
})

it('believes one that is alone, and again only who has come well within the bound', () => {
  expect(insaneClocks([reading('a', 0, 1n)], nobody)).toEqual(nobody)
  const near = [reading('a', 0, 1n), reading('b', 1500, 2n)]
  expect(insaneClocks(near, nobody)).toEqual(nobody)
  expect(insaneClocks(near, new Set(['b']))).toEqual(new Set(['b']))
})
