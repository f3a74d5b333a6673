import { policies, type types } from 'cassandra-driver'
import type { RepeatBudget } from './repeat-budget.ts'

/**
 * Once more, at another node, what is safe to repeat: reads, and writes that carry their own
 * timestamp. The driver asks about errors of requests that are not safe only where nothing was done.
 */
export function createRetryPolicy(
  budget: RepeatBudget,
  retried: () => void,
): policies.retry.RetryPolicy {
  const policy = new policies.retry.RetryPolicy()

  function onceMore(info: policies.retry.OperationInfo): policies.retry.DecisionInfo {
    if (info.nbRetry > 0 || !budget.isLeft) return policy.rethrowResult()
    budget.spend()
    retried()
    return policy.retryResult(sameConsistency, false)
  }

  return Object.assign(policy, {
    onReadTimeout: onceMore,
    onWriteTimeout: onceMore,
    onUnavailable: onceMore,
    onRequestError: onceMore,
  })
}

/**
 * A second attempt beside the first, at another node, when that has not answered for so long: a node
 * that hangs costs its callers that much and no more.
 */
export function createSecondAttemptPolicy(
  budget: RepeatBudget,
  delayMs: number,
): policies.speculativeExecution.SpeculativeExecutionPolicy {
  const policy = new policies.speculativeExecution.ConstantSpeculativeExecutionPolicy(delayMs, 1)
  const none = { nextExecution: () => -1 }
  return Object.assign(policy, {
    newPlan: (keyspace: string, queryInfo: string | object[]) =>
      budget.isLeft ? prototype.newPlan.call(policy, keyspace, queryInfo) : none,
  })
}

const prototype = policies.speculativeExecution.ConstantSpeculativeExecutionPolicy.prototype

/** The driver's type does not know that undefined is "as before". */
const sameConsistency = undefined as unknown as types.consistencies
