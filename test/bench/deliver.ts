import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds } from './cpu.ts'
import { printFigure, round, talk } from './figure.ts'
import { newUser, sendRequest, type BenchServer } from './fleet.ts'
import { openHttpLine } from './http-line.ts'
import { openIdleSocket } from './idle-socket.ts'

/** Enough for the server to have something to do while a group waits for the disk. */
const linesPerGroup = 4

/**
 * Deliveries to live sockets while sends saturate: groups of `members`, one device each, everybody
 * online; one member of each group sends over some connections as fast as it is answered.
 */
export async function benchDeliver(
  server: BenchServer,
  shape: string,
  load: { groups: number; members: number; seconds: number },
): Promise<void> {
  talk(`deliver (${shape}): registering ${String(load.groups)} groups of ${String(load.members)}`)
  let delivered = 0
  const requests: Buffer[] = []
  const sockets: { close(): void }[] = []
  for (let g = 0; g < load.groups; g += 1) {
    const people = []
    for (let m = 0; m < load.members; m += 1) {
      people.push(await newUser(server, `g${String(g)}m${String(m)}`, 1))
    }
    const [sender, ...others] = people
    if (sender === undefined) throw new Error('a group needs a member')
    for (const other of others) {
      const path = (id: typeof other.id): string => `/connections/${id.domain}/${id.id}`
      await sender.client.request('POST', path(other.id), { expect: 201 })
      await other.client.request('PUT', path(sender.id), {
        json: { status: 'accepted' },
        expect: 200,
      })
      sockets.push(
        await openIdleSocket(server.ws ?? server.url, other.client.token ?? '', (count) => {
          delivered += count
        }),
      )
    }
    const created = await sender.client.request<{ qualified_id: typeof sender.id }>(
      'POST',
      '/conversations',
      { json: { name: 'bench', qualified_users: others.map(({ id }) => id) }, expect: 201 },
    )
    requests.push(sendRequest(sender, created.json.qualified_id, others))
  }
  await sleep(500)
  delivered = 0
  let sends = 0
  talk('deliver: sending')
  const cpuBefore = await cpuSeconds(server.pids)
  const startedMs = performance.now()
  await Promise.all(
    requests
      .flatMap((request) => Array<Buffer>(linesPerGroup).fill(request))
      .map(async (request) => {
        const line = await openHttpLine(server.url)
        while (performance.now() - startedMs < load.seconds * 1000) {
          if ((await line.send(request)) !== 201) throw new Error('a send failed')
          sends += 1
        }
        line.close()
      }),
  )
  const seconds = (performance.now() - startedMs) / 1000
  const expected = sends * (load.members - 1)
  for (let i = 0; i < 100 && delivered < expected; i += 1) await sleep(50)
  const cpu = (await cpuSeconds(server.pids)) - cpuBefore
  for (const socket of sockets) socket.close()
  printFigure('deliver', {
    shape,
    groups: load.groups,
    members: load.members,
    sendsPerSecond: round(sends / seconds),
    deliveriesPerSecond: round(delivered / seconds),
    deliveriesPerServerCpuSecond: round(delivered / cpu),
    missing: expected - delivered,
  })
}
