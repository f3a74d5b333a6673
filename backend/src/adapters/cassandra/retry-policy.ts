import { policies, type types } from 'cassandra-driver'

/**
 * Once more, at another node, what is safe to repeat: reads, and writes that carry their own
 * timestamp. The driver asks about errors of requests that are not safe only where nothing was done.
 */
export function createRetryPolicy(retried: () => void): policies.retry.RetryPolicy {
  const policy = new policies.retry.RetryPolicy()

  function onceMore(info: policies.retry.OperationInfo): policies.retry.DecisionInfo {
    if (info.nbRetry > 0) return policy.rethrowResult()
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

/** The driver's type does not know that undefined is "as before". */
const sameConsistency = undefined as unknown as types.consistencies
