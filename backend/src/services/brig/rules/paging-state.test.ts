import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { UserId } from '../../../contract/ids.ts'
import { formatPagingState, parsePagingState } from './paging-state.ts'

it('reads what it wrote', () => {
  fc.assert(
    fc.property(fc.uuid(), (id) => {
      expect(parsePagingState(formatPagingState(id as UserId))).toBe(id)
    }),
  )
  expect(parsePagingState(formatPagingState(undefined))).toBeUndefined()
})

it('takes any other text for malformed', () => {
  const isText = (text: string) => {
    const state = parsePagingState(text)
    if (state === 'malformed') return
    expect(formatPagingState(state)).toBe(text)
  }
  fc.assert(fc.property(fc.string(), isText))
  fc.assert(fc.property(fc.base64String(), isText))
  for (const text of ['', 'AQ', 'Ag==', 'AQAA', `AQ==${'A'.repeat(200)}`]) {
    expect(parsePagingState(text)).toBe('malformed')
  }
})
