import type { policies } from 'cassandra-driver'
import { expect, it, vi } from 'vitest'
import { repeatBudget } from './repeat-budget.ts'
import { createRetryPolicy, createSecondAttemptPolicy } from './retry-policy.ts'

const info = (nbRetry: number) => ({ nbRetry }) as policies.retry.OperationInfo
const [rethrow, retry] = [0, 1]

it('repeats a request once, at another node and as it was', () => {
  const retried = vi.fn<() => void>()
  const policy = createRetryPolicy(repeatBudget({ share: 0.1, burst: 10 }), retried)
  expect(policy.onRequestError(info(0), 6, new Error('no reply'))).toMatchObject({
    decision: retry,
    useCurrentHost: false,
    consistency: undefined,
  })
  expect(policy.onRequestError(info(1), 6, new Error('no reply')).decision).toBe(rethrow)
  expect(policy.onUnavailable(info(0), 6, 2, true).decision).toBe(retry)
  expect(policy.onReadTimeout(info(0), 6, 1, 2, false).decision).toBe(retry)
  expect(policy.onWriteTimeout(info(0), 6, 1, 2, 'SIMPLE').decision).toBe(retry)
  expect(retried).toHaveBeenCalledTimes(4)
})

it('stops repeating when too much of everything fails, and begins again when it does not', () => {
  const budget = repeatBudget({ share: 0.5, burst: 2 })
  const policy = createRetryPolicy(budget, () => undefined)
  const second = createSecondAttemptPolicy(budget, 250)
  const decide = () => policy.onRequestError(info(0), 6, new Error('no reply')).decision
  expect(second.newPlan('k', 'q').nextExecution()).toBe(250)
  expect([decide(), decide(), decide()]).toEqual([retry, retry, rethrow])
  expect(second.newPlan('k', 'q').nextExecution()).toBe(-1)
  budget.earn()
  expect(decide()).toBe(rethrow)
  budget.earn()
  expect(decide()).toBe(retry)
})
