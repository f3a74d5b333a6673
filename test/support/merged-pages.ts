import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** By when a mail was received, or a push was posted; both sort as texts. */
function byTime(one: unknown, other: unknown): number {
  const timeOf = (entry: unknown): string => {
    const { received, posted } = entry as { received?: string; posted?: string }
    return received ?? posted ?? ''
  }
  return timeOf(one) < timeOf(other) ? -1 : Number(timeOf(one) > timeOf(other))
}

export interface MergedPages extends AsyncDisposable {
  readonly url: string
}

/**
 * What several processes show on their operator's listeners, as if one process had it all: the
 * lists of `GET /mails` and `GET /pushes` are joined, oldest first, everything else goes to each of them. One
 * that is not there has nothing to show; 503 when none is there.
 */
export async function mergePages(urls: readonly string[]): Promise<MergedPages> {
  const server = createServer((request, response) => {
    const ask = async (url: string): Promise<Record<string, readonly unknown[]> | undefined> => {
      try {
        const reply = await fetch(new URL(request.url ?? '/', url), {
          method: request.method ?? 'GET',
          signal: AbortSignal.timeout(10_000),
        })
        return reply.ok ? ((await reply.json()) as Record<string, readonly unknown[]>) : undefined
      } catch {
        return undefined
      }
    }
    void Promise.all(urls.map(ask)).then((replies) => {
      const merged: Record<string, unknown[]> = {}
      const answers = replies.filter((reply) => reply !== undefined)
      if (answers.length === 0) response.statusCode = 503
      for (const reply of answers) {
        for (const [name, list] of Object.entries(reply)) (merged[name] ??= []).push(...list)
      }
      for (const list of Object.values(merged)) list.sort(byTime)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(merged))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
