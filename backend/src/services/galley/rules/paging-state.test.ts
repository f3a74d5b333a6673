import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { ConversationId } from '../../../contract/ids.ts'
import { readPagingState, writePagingState } from './paging-state.ts'

it('comes back as it was written', () => {
  const ids = fc.uuid().map((id) => id as ConversationId)
  fc.assert(
    fc.property(fc.option(ids, { nil: undefined }), (last) => {
      expect(readPagingState(writePagingState(last))).toEqual({ last })
    }),
  )
})

it('is nothing else', () => {
  const foreign = fc.oneof(
    fc.string(),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
  )
  fc.assert(
    fc.property(foreign, (text) => {
      const state = readPagingState(text)
      expect(state === undefined || writePagingState(state.last) === text).toBe(true)
    }),
    { numRuns: 1000 },
  )
  expect(readPagingState('AQ')).toBeUndefined()
  expect(readPagingState('AA==')).toBeUndefined()
})
