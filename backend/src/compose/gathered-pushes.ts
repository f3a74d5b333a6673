import type { Client, ClientReply } from '../contract/endpoint.ts'
import { Unavailable } from '../contract/error.ts'
import type { Push, pushApi } from '../contract/gundeck/internal.ts'
import type { Clock } from '../platform/clock.ts'

type PushClient = Client<typeof pushApi>
type PushReply = ClientReply<typeof pushApi.push>

interface Waiting {
  readonly pushes: readonly Push[]
  readonly resolve: (reply: PushReply) => void
  readonly reject: (error: unknown) => void
}

/** Recipients in one call, so that a large group does not hold up messages between two people. */
const largestCall = 256

/**
 * Puts what is pushed in one turn of the event loop into one call: between processes the call costs
 * more than the push. All of it is answered when the last is durable. Repeats go alone, so whoever
 * fails together is told apart by trying again.
 */
export function gatherPushes(client: PushClient, clock: Clock): PushClient {
  let waiting: Waiting[] = []
  let recipients = 0

  function flush(): void {
    const batch = waiting
    waiting = []
    recipients = 0
    if (batch.length > 0) void call(batch)
  }

  async function call(batch: readonly Waiting[]): Promise<void> {
    const startedMs = clock.monotonicMs()
    try {
      const reply = await client.push({ body: { pushes: batch.flatMap(({ pushes }) => pushes) } })
      let at = 0
      for (const { pushes, resolve } of batch) {
        const eventTimesMs = reply.body.eventTimesMs.slice(at, at + pushes.length)
        at += pushes.length
        resolve({ ...reply, body: { eventTimesMs } })
      }
    } catch (error) {
      // Callers repeat what may be repeated by themselves.
      if (batch.length === 1 || error instanceof Unavailable) {
        for (const { reject } of batch) reject(error)
        return
      }
      const repetition = {
        isRepeat: true,
        firstAttemptAgeMs: Math.ceil(clock.monotonicMs() - startedMs),
      }
      for (const { pushes, resolve, reject } of batch) {
        client.push({ body: { pushes: [...pushes], ...repetition } }).then(resolve, reject)
      }
    }
  }

  return {
    push(input) {
      const { pushes, isRepeat } = input.body
      const added = pushes.reduce((sum, push) => sum + push.recipients.length, 0)
      if (isRepeat === true || added > largestCall) return client.push(input)
      if (recipients + added > largestCall) flush()
      const { promise, resolve, reject } = Promise.withResolvers<PushReply>()
      waiting.push({ pushes, resolve, reject })
      recipients += added
      if (waiting.length === 1) setImmediate(flush)
      return promise
    },
  }
}
