import { join } from 'node:path'

import { expect, it } from 'vitest'

import { freeListenerPorts, startServerProcess } from '../support/server-process.ts'
import { gatherCrowd, untilAllWereOnline, within } from './crowd.ts'
import { recordHistory, type HistoryEntry } from './history.ts'
import { mountSmallDisk, whyNoSmallDisk } from './small-disk.ts'
import { serverConfig } from './storm.ts'
import { judge } from './verdict.ts'

const diskMegabytes = 48
const timeout = 180_000

it(
  'answers 503 while the disk is full, reads on, and recovers by itself',
  {
    timeout,
  },
  async (context) => {
    const reason = whyNoSmallDisk()
    if (reason !== undefined) context.skip(reason)
    await using disk = await mountSmallDisk(diskMegabytes)
    const data = join(disk.folder, 'data')
    const { server: ports } = await freeListenerPorts(['server'])
    const start = () => startServerProcess({ data, ports, config: serverConfig })
    const recorder = recordHistory()
    const { record, entries } = recorder

    await using server = await start()
    record({ kind: 'server-started', clockOffsetMs: 0 })
    await using crowd = gatherCrowd(recorder, Math.random)
    const { devices } = await crowd.begin(server)
    const phones = devices.filter(({ name }) => name.endsWith('/phone'))
    /** Whether every phone has had such an answer since. */
    function haveAll(since: number, isIt: (entry: HistoryEntry) => boolean): boolean {
      const answered = entries.slice(since).filter((entry) => isIt(entry))
      return phones.every(({ name }) =>
        answered.some((entry) => 'send' in entry && entry.send.startsWith(`${name} `)),
      )
    }
    const isAcknowledged = ({ kind }: HistoryEntry): boolean => kind === 'acknowledged'
    await within(20_000, 'everybody sends', () => haveAll(0, isAcknowledged))

    const full = entries.length
    record({ kind: 'disk-full' })
    await disk.fill()
    await within(60_000, 'everybody is told 503', () =>
      haveAll(full, (entry) => entry.kind === 'unknown' && entry.reason.startsWith('503 ')),
    )
    for (const { raw } of devices) await raw.request('GET', '/self', { expect: 200 })
    for (const device of devices) expect(await device.readAll()).toBe(true)
    await untilAllWereOnline(devices)

    const free = entries.length
    await disk.makeRoom()
    record({ kind: 'disk-free' })
    await within(20_000, 'everybody can send again', () => haveAll(free, isAcknowledged))
    const recovery = entries.findLast((entry) => isAcknowledged(entry))
    const recoveredMs = (recovery?.atMs ?? 0) - (entries[free]?.atMs ?? 0)
    const reasons = entries.flatMap((entry) =>
      entry.kind === 'unknown' || entry.kind === 'refused' ? [entry.reason.slice(0, 4)] : [],
    )
    expect(new Set(reasons)).toEqual(new Set(['503 ']))

    // What was acknowledged before, meanwhile and after is there for the next process too.
    server.kill('SIGKILL')
    await server.exit
    record({ kind: 'server-ended', how: 'killed' })
    await using _restarted = await start()
    record({ kind: 'server-started', clockOffsetMs: 0 })
    await crowd.comeToRest()
    const note = `a full disk: everybody could send ${recoveredMs} ms after there was room`
    expect(await judge(entries, crowd.frameFaults, [note])).toEqual([])
  },
)
