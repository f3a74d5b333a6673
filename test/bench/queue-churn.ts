import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { attachmentsApi, queueApi } from '../../backend/src/contract/gundeck/attachments.ts'
import { inboxApi, pushApi } from '../../backend/src/contract/gundeck/internal.ts'
import type { ClientId, NotificationId, UserId } from '../../backend/src/contract/ids.ts'
import { systemClock } from '../../backend/src/platform/clock.ts'
import { localClient } from '../../backend/src/platform/http/local-client.ts'
import { systemIds } from '../../backend/src/platform/ids.ts'
import type { WideColumnStore } from '../../backend/src/ports/wide-column.ts'
import { GundeckConfig, startGundeck } from '../../backend/src/services/gundeck/index.ts'
import { percentile, printFigure, round, talk } from './figure.ts'

const client = 'b0b' as ClientId
/** Enqueued at once, read, and acknowledged, as a client does that keeps up. */
const roundSize = 200
const payload = 'x'.repeat(250)

/**
 * One client to which `messages` come and which acknowledges them as they come: does reading its
 * queue get slower, the more has gone through it? The inbox alone, without HTTP, on any store.
 */
export async function benchQueueChurn(
  store: WideColumnStore,
  kind: string,
  { messages }: { messages: number },
): Promise<void> {
  const neverAsked = async (): Promise<never> => {
    throw new Error('nobody has a socket')
  }
  await using gundeck = await startGundeck({
    config: GundeckConfig.parse({}),
    platform: { log: pino({ level: 'warn' }), clock: systemClock(), ids: systemIds() },
    db: store,
    isAlone: true,
    address: 'bench',
    cannonAt: () => ({ deliver: neverAsked }),
    ownerAt: () => {
      throw new Error('there is no other gundeck')
    },
    brig: { touchClient: async () => ({ status: 200, headers: {}, body: {} }) },
  })
  const inbox = localClient(
    { ...pushApi, ...inboxApi, ...attachmentsApi, ...queueApi },
    () => gundeck.routes,
    { isChecked: false },
  )
  const user = randomUUID() as UserId
  await inbox.openClientInbox({ params: { user, client }, body: { isAcknowledging: true } })
  const { body: opened } = await inbox.openQueue({ params: { user, client } })
  let cursor: NotificationId | undefined = opened.queue?.cursor
  if (cursor === undefined) throw new Error('the client has no queue')

  const readsMs: number[] = []
  const startedMs = performance.now()
  for (let gone = 0; gone < messages; gone += roundSize) {
    await Promise.all(
      Array.from({ length: roundSize }, () =>
        inbox.push({
          body: {
            pushes: [
              {
                requestId: randomUUID(),
                recipients: [{ user, clients: [client] }],
                events: [{ type: 'bench', payload }],
                isTransient: false,
                priority: 'low',
              },
            ],
          },
        }),
      ),
    )
    let count = 0
    const askedMs = performance.now()
    for (let hasMore = true; hasMore;) {
      const { body } = await inbox.readInbox({
        params: { user },
        body: { after: cursor, client, limit: 64, limitBytes: 256 * 1024 },
      })
      count += body.rows.length
      cursor = body.position
      ;({ hasMore } = body)
    }
    readsMs.push(performance.now() - askedMs)
    if (count !== roundSize) throw new Error(`${String(count)} of ${String(roundSize)} were read`)
    const acknowledgements = [{ user, client, cursor, acknowledged: [] }]
    await inbox.acknowledge({ body: { acknowledgements } })
    if (gone % 100_000 < roundSize) talk(`queue-churn (${kind}): ${String(gone)} gone through`)
  }
  const seconds = (performance.now() - startedMs) / 1000
  const tenth = Math.ceil(readsMs.length / 10)
  const first = percentile(readsMs.slice(0, tenth), 0.5)
  const last = percentile(readsMs.slice(-tenth), 0.5)
  printFigure('queue-churn', {
    store: kind,
    messages,
    seconds: round(seconds, 1),
    readOf200: { firstTenthP50Ms: round(first, 2), lastTenthP50Ms: round(last, 2) },
    lastToFirstTenthRatio: round(last / first, 2),
  })
}
