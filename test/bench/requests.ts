import { round } from './figure.ts'

export type RequestCounts = ReadonlyMap<string, number>

const line = /^tricord_dependency_requests_total\{(.*)\} (\d+)$/

/** How many requests each service has made of Cassandra, by `SERVICE KIND`, since it started. */
export async function countRequests(operatorUrls: readonly string[]): Promise<RequestCounts> {
  const counts = new Map<string, number>()
  for (const url of operatorUrls) {
    const text = await (await fetch(new URL('/i/metrics', url))).text()
    for (const [, labels = '', count] of text.split('\n').map((each) => line.exec(each) ?? [])) {
      const { service, kind } = Object.fromEntries(
        [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
      ) as { service?: string; kind?: string }
      if (service === undefined || kind === undefined) continue
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
