import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { expect, it } from 'vitest'

import { freePorts, startServerProcess } from '../support/server-process.ts'
import { checkHistory } from './checker.ts'
import type { Device, SendOutcome } from './device.ts'
import { recordHistory } from './history.ts'
import { registerPeople } from './people.ts'
import { mountSmallDisk, whyNoSmallDisk } from './small-disk.ts'
import { comeToRest, complaints, serverConfig, settleMs, within } from './storm.ts'
import { tally } from './tally.ts'

const diskMegabytes = 48

it(
  'answers 503 while the disk is full, goes on reading, and recovers by itself',
  {
    timeout: 120_000,
  },
  async (context) => {
    const reason = whyNoSmallDisk()
    if (reason !== undefined) context.skip(reason)
    await using disk = await mountSmallDisk(diskMegabytes)
    const data = join(disk.folder, 'data')
    const [listen = 0, operator = 0] = await freePorts(2)
    const start = () =>
      startServerProcess({ data, ports: { listen, operator }, config: serverConfig })
    const recorder = recordHistory()
    const { record, entries } = recorder
    record({ kind: 'server-started', clockOffsetMs: 0 })
    await using server = await start()
    const habits = { random: Math.random, isRestless: true }
    const people = await registerPeople(server, recorder, habits)
    const { devices, group } = people
    const stop = new AbortController()
    const reading = devices.map((device) => device.read(stop.signal))
    const senders = devices.filter(({ name }) => name.endsWith('/phone'))
    const everyoneSends = (): Promise<SendOutcome[]> =>
      Promise.all(senders.map((device) => device.send(group, 20_000)))

    for (let round = 0; round < 20; round += 1) await everyoneSends()
    expect(entries.filter(({ kind }) => kind === 'acknowledged')).toHaveLength(20 * senders.length)

    record({ kind: 'disk-full' })
    await disk.fill()
    const refused = new Map<Device, SendOutcome>()
    await within(60_000, 'every sender is told that the disk is full', async () => {
      for (const [index, outcome] of (await everyoneSends()).entries()) {
        const sender = senders[index]
        if (sender && outcome.kind !== 'acknowledged') refused.set(sender, outcome)
      }
      return refused.size === senders.length
    })
    for (const outcome of refused.values()) expect(outcome).toMatchObject({ status: 503 })
    for (const { raw } of devices) await raw.request('GET', '/self', { expect: 200 })
    for (const device of devices) expect(await device.readAll()).toBe(true)
    await within(10_000, 'everybody is online while the disk is full', () =>
      devices.every(({ isOnline }) => isOnline),
    )

    await disk.makeRoom()
    record({ kind: 'disk-free' })
    const madeRoomMs = performance.now()
    await within(15_000, 'everybody can send again', async () =>
      (await everyoneSends()).every(({ kind }) => kind === 'acknowledged'),
    )
    const recoveredMs = Math.round(performance.now() - madeRoomMs)
    await everyoneSends()

    server.kill('SIGKILL')
    await server.exit
    record({ kind: 'server-ended', how: 'killed' })
    await sleep(0)
    await using restarted = await start()
    record({ kind: 'server-started', clockOffsetMs: 0 })
    habits.isRestless = false
    await comeToRest(people, recorder)
    stop.abort()
    await Promise.all(reading)
    const violations = checkHistory(entries, { settleMs })
    const frameFaults = devices.flatMap(({ faults }) => faults)
    const lines = [
      ...tally(entries).slice(1, 4),
      `everybody could send ${recoveredMs} ms after there was room`,
    ]
    process.stdout.write(`${lines.join('\n')}\n`)
    expect(restarted.output()).not.toContain('"level":60')
    expect(await complaints({ history: entries, violations, frameFaults })).toEqual([])
  },
)
