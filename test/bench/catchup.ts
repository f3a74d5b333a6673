import { cpuSeconds } from './cpu.ts'
import { percentile, printFigure, round, talk } from './figure.ts'
import { newUser, sendRequest, type BenchServer } from './fleet.ts'
import { openHttpLine } from './http-line.ts'
import type { QualifiedId } from '../support/wire/wire-types.ts'

/** The largest page that Wire's clients ask for. */
const pageSize = 500

interface NotificationPage {
  readonly notifications: readonly { readonly id: string }[]
  readonly has_more: boolean
}

/**
 * A client that was away while `messages` came pages through all of them. Says how fast they come,
 * and how much slower the last tenth of the pages is than the first.
 */
export async function benchCatchup(
  server: BenchServer,
  shape: string,
  { messages, lines }: { messages: number; lines: number },
): Promise<void> {
  const alice = await newUser(server, 'alice', 1)
  const bob = await newUser(server, 'bob', 1)
  const path = ({ domain, id }: QualifiedId): string => `/connections/${domain}/${id}`
  await alice.client.request('POST', path(bob.id), { expect: 201 })
  const accepted = await bob.client.request<{ qualified_conversation: QualifiedId }>(
    'PUT',
    path(alice.id),
    { json: { status: 'accepted' }, expect: 200 },
  )
  const send = sendRequest(alice, accepted.json.qualified_conversation, [bob])
  talk(`catchup (${shape}): queueing ${String(messages)} messages`)
  let sent = 0
  await Promise.all(
    Array.from({ length: lines }, async () => {
      const line = await openHttpLine(server.url)
      while (sent < messages) {
        sent += 1
        if ((await line.send(send)) !== 201) throw new Error('a send failed')
      }
      line.close()
    }),
  )

  talk('catchup: reading')
  const seen = new Set<string>()
  const pagesMs: number[] = []
  const cpuBefore = await cpuSeconds(server.pids)
  const startedMs = performance.now()
  const client = bob.devices[0] ?? ''
  let since: string | undefined
  let hasMore = true
  while (hasMore) {
    const askedMs = performance.now()
    const { json } = await bob.client.request<NotificationPage>('GET', '/notifications', {
      query: { size: pageSize, client, ...(since === undefined ? {} : { since }) },
      expect: 200,
    })
    pagesMs.push(performance.now() - askedMs)
    for (const { id } of json.notifications) seen.add(id)
    since = json.notifications.at(-1)?.id ?? since
    hasMore = json.has_more
  }
  const seconds = (performance.now() - startedMs) / 1000
  const cpu = (await cpuSeconds(server.pids)) - cpuBefore
  const tenth = Math.ceil(pagesMs.length / 10)
  printFigure('catchup', {
    shape,
    messages,
    // What else the account heard of is in the queue too: the connection, its own devices.
    missing: Math.max(0, messages - seen.size),
    pages: pagesMs.length,
    seconds: round(seconds, 1),
    notificationsPerSecond: round(seen.size / seconds),
    serverCpuMicrosecondsPerNotification: round((cpu * 1e6) / seen.size),
    pageP50Ms: round(percentile(pagesMs, 0.5), 1),
    pageP99Ms: round(percentile(pagesMs, 0.99), 1),
    lastToFirstTenthRatio: round(
      percentile(pagesMs.slice(-tenth), 0.5) / percentile(pagesMs.slice(0, tenth), 0.5),
      2,
    ),
  })
}
