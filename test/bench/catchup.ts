import { randomUUID } from 'node:crypto'
import { pushApi } from '../../backend/src/contract/gundeck/internal.ts'
import type { ClientId, UserId } from '../../backend/src/contract/ids.ts'
import { httpClient } from '../../backend/src/platform/http/http-client.ts'
import { fixedUpstream } from '../../backend/src/platform/http/upstream.ts'
import { cpuSeconds } from './cpu.ts'
import { percentile, printFigure, round, talk } from './figure.ts'
import { cipherBytes, newUser, sendRequest, type BenchServer } from './fleet.ts'
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
  talk(`catchup (${shape}): queueing ${String(messages)} messages`)
  if (server.gundeckUrl === undefined) {
    const send = sendRequest(alice, accepted.json.qualified_conversation, [bob])
    await queueSends(server.url, send, { messages, lines })
  } else {
    const event = {
      type: 'conversation.otr-message-add',
      conversation: accepted.json.qualified_conversation.id,
      qualified_conversation: accepted.json.qualified_conversation,
      from: alice.id.id,
      qualified_from: alice.id,
      data: { sender: alice.devices[0], recipient: bob.devices[0], text: 'x'.repeat(cipherBytes) },
    }
    await queuePushes(server.gundeckUrl, bob, event, messages)
  }

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

async function queueSends(
  url: string,
  send: Buffer,
  { messages, lines }: { messages: number; lines: number },
): Promise<void> {
  let sent = 0
  await Promise.all(
    Array.from({ length: lines }, async () => {
      const line = await openHttpLine(url)
      while (sent < messages) {
        sent += 1
        if ((await line.send(send)) !== 201) throw new Error('a send failed')
      }
      line.close()
    }),
  )
}

const pushesInOne = 50
const requestsAtOnce = 4

/** As galley does for what people send, without galley: that is not what is measured. */
async function queuePushes(
  gundeckUrl: string,
  to: { readonly id: QualifiedId; readonly devices: readonly string[] },
  event: Readonly<Record<string, unknown>>,
  messages: number,
): Promise<void> {
  const gundeck = httpClient(pushApi, { upstream: fixedUpstream(gundeckUrl), timeoutMs: 30_000 })
  const recipients = [{ user: to.id.id as UserId, clients: to.devices as ClientId[] }]
  let sent = 0
  await Promise.all(
    Array.from({ length: requestsAtOnce }, async () => {
      while (sent < messages) {
        const count = Math.min(pushesInOne, messages - sent)
        sent += count
        const pushes = Array.from({ length: count }, () => ({
          requestId: randomUUID(),
          recipients,
          events: [event],
          eventTimeMs: Date.now(),
        }))
        await gundeck.push({ body: { pushes } })
      }
    }),
  )
}
