import { expect, it } from 'vitest'
import { hasMissed } from './missed.ts'

const dayMs = 24 * 60 * 60 * 1000
const nowMs = 100 * dayMs

it('is not so while everything beyond the cursor is kept', () => {
  expect(hasMissed(nowMs - 27 * dayMs, nowMs, [nowMs - 40 * dayMs])).toBe(false)
})

it('is so when rows beyond the cursor may have expired', () => {
  expect(hasMissed(nowMs - 29 * dayMs, nowMs, [nowMs - 28.5 * dayMs])).toBe(true)
})

it('is not so when the inbox began after the oldest row that can be there', () => {
  expect(hasMissed(nowMs - 29 * dayMs, nowMs, [nowMs - 2 * dayMs])).toBe(false)
  expect(hasMissed(nowMs - 29 * dayMs, nowMs, [])).toBe(false)
})

it('is taken to be so when the traces are gone', () => {
  expect(hasMissed(nowMs - 31 * dayMs, nowMs, [])).toBe(true)
})
