import { round } from './figure.ts'

export type RequestCounts = ReadonlyMap<string, number>

const line = /^tricord_dependency_requests_total\{(.*)\} (\d+)$/

/** Where a process of a service tells the operator what it counts. */
export interface OperatorListener {
  readonly service: string
  readonly url: string
}

/** How many requests each service has made of Cassandra, by `SERVICE KIND`, since it started. */
export async function countRequests(
  listeners: readonly OperatorListener[],
): Promise<RequestCounts> {
  const counts = new Map<string, number>()
  for (const { service, url } of listeners) {
    const text = await (await fetch(new URL('/i/metrics', url))).text()
    for (const [, labels = '', count] of text.split('\n').map((each) => line.exec(each) ?? [])) {
      const { kind } = Object.fromEntries(
        [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
      ) as { kind?: string }
      if (kind === undefined) continue
      const name = `${service} ${kind}`
      counts.set(name, (counts.get(name) ?? 0) + Number(count))
    }
  }
  return counts
}

/** By how many each grew for each of so many things that were done. */
export const requestsPer = (
  done: number,
  before: RequestCounts,
  after: RequestCounts,
): Record<string, number> =>
  Object.fromEntries(
    [...after]
      .map(([name, count]) => [name, round((count - (before.get(name) ?? 0)) / done, 2)] as const)
      .filter(([, count]) => count > 0),
  )
