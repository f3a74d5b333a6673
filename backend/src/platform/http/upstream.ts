import { request as httpRequest } from 'node:http'
import type { RequestOptions } from 'node:http'
import { urlToHttpOptions } from 'node:url'

/** Where calls to a service go, and who is told what becomes of them. */
export interface Upstream {
  /**
   * Base URL of an instance that is up, asked for at each call.
   *
   * @throws Unavailable when there is none.
   */
  address(): string
  /**
   * A call to this instance begins.
   *
   * @param giveUp Called once at most, when the instance hangs: no answer will come.
   * @returns To be told of the end: whether the instance answered, other than that it cannot serve;
   *   undefined where the call says nothing about that.
   */
  begin(address: string, giveUp: (reason: Error) => void): (isAnswered: boolean | undefined) => void
}

/** One instance, whatever becomes of the calls. */
export const fixedUpstream = (address: string): Upstream => ({
  address: () => address,
  begin: () => () => undefined,
})

/** What `node:http` wants to know of a base URL; each is taken apart once. */
export function targets(): (address: string) => RequestOptions {
  const known = new Map<string, RequestOptions>()
  return (address) => {
    let target = known.get(address)
    if (target === undefined) {
      const { protocol, hostname, port } = urlToHttpOptions(new URL(address))
      target = { protocol, hostname, port }
      known.set(address, target)
    }
    return target
  }
}

/**
 * Whether a process answers anything at all at this base URL, on a connection of its own: one whose
 * host is gone, or that stands still, does not, while one that waits for its store does.
 */
export function answersAtAll(address: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = httpRequest(new URL('/i/status', address), { agent: false }, (reply) => {
      reply.destroy()
      settle(true)
    })
    const settle = (answers: boolean): void => {
      clearTimeout(timer)
      request.destroy()
      resolve(answers)
    }
    // If it was this process that stood still, the answer is read before this is believed.
    const timer = setTimeout(() => setImmediate(() => setImmediate(settle, false)), timeoutMs)
    request.on('error', () => settle(false))
    request.end()
  })
}
