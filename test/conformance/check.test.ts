import { describe, expect, it } from 'vitest'
import { checkExchange } from './check.ts'

const json = { 'content-type': 'application/json' }
const ok = (path: string, body: unknown, status = 200) =>
  checkExchange({ method: 'GET', path, status, headers: json, body: JSON.stringify(body) })

describe('conformance', () => {
  it('knows operations by method, path and version', () => {
    const verdict = ok('/v9/time', { time: '2026-01-01T00:00:00Z' })
    expect(verdict).toEqual({ operation: 'GET /time', version: 9, problems: [] })
    expect(ok('/v8/time', { time: 'x' }).problems).toHaveLength(1)
    expect(ok('/api-version', {}).operation).toBe('GET /api-version')
  })

  it('finds a missing key, a wrong type and an undeclared status', () => {
    expect(ok('/v9/time', {}).problems[0]).toMatch(/required property 'time'/)
    expect(ok('/v9/time', { time: 5 }).problems[0]).toMatch(/must be string/)
    expect(ok('/v9/time', {}, 201).problems[0]).toMatch(/status 201/)
  })

  it('finds an undeclared label and a code that is not the status', () => {
    const error = (label: string, code: number) =>
      checkExchange({
        method: 'PUT',
        path: '/v9/self/handle',
        status: 409,
        headers: json,
        body: JSON.stringify({ code, label, message: 'x' }),
      }).problems
    expect(error('handle-exists', 409)).toEqual([])
    expect(error('handle-gone', 409)[0]).toMatch(/not declared upstream/)
    expect(error('handle-exists', 408)[0]).toMatch(/not the status/)
  })
})
