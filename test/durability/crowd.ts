import { setTimeout as sleep } from 'node:timers/promises'

import type { Device, Habits, SendOutcome } from './device.ts'
import type { HistoryRecorder } from './history.ts'
import { registerPeople, type People, type Reachable } from './people.ts'
import { settleMs } from './verdict.ts'

/** People who write to one another and read, whatever happens to their server. */
export interface Crowd extends AsyncDisposable {
  /** Registers them the first time it is called, and lets them begin. */
  begin(server: Reachable): Promise<People>
  /** From now on nobody leaves a socket of their own accord. */
  sitDown(): void
  /**
   * Ends the sending, gives everything the time to arrive, and lets everybody look at everything
   * once more. Rejects when the server is not up to that.
   */
  comeToRest(): Promise<void>
  /** What the frames of all sockets had that no frame may have. */
  readonly frameFaults: readonly string[]
}

/** Between two sends of one loop, at most, where nothing else is asked for. */
const shortPauseMs = 30
/** Some messages are so long. */
const largeChars = 30_000
const finishTimeoutMs = 20_000
const eraseTimeoutMs = 10_000

/** @param random From 0 up to 1. */
export function gatherCrowd(
  recorder: HistoryRecorder,
  random: () => number,
  { longestPauseMs = shortPauseMs }: { readonly longestPauseMs?: number } = {},
): Crowd {
  const habits: Habits = { random, isRestless: true }
  const stopReading = new AbortController()
  const stopSending = new AbortController()
  let people: People | undefined
  const reading: Promise<void>[] = []
  const sending: Promise<void>[] = []

  async function keepSending(device: Device, { roomsOf, devicesOf }: People): Promise<void> {
    const { signal } = stopSending
    const user = device.name.slice(0, device.name.indexOf('/'))
    const rooms = roomsOf.get(user) ?? []
    const others = devicesOf(user).filter((other) => other !== device)
    let isFirst = true
    while (!signal.aborted) {
      const room = rooms[Math.floor(random() * rooms.length)]
      if (!room) return
      // Often the first thing after a start: only messages draw the ids along with their times.
      const isProperty: boolean = others.length > 0 && random() < (isFirst ? 0.7 : 0.1)
      const outcome: SendOutcome = isProperty
        ? await device.setProperty(others)
        : await device.send(room, random() < 0.03 ? largeChars : 0)
      isFirst = outcome.kind !== 'acknowledged'
      const pauseMs = isFirst ? 50 + random() * 50 : random() * longestPauseMs
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
    }
  }

  const crowd: Crowd = {
    async begin(server) {
      if (people) return people
      people = await registerPeople(server, recorder, habits)
      for (const device of people.devices) reading.push(device.read(stopReading.signal))
      for (const device of people.devices.filter(({ name }) => name.endsWith('/phone'))) {
        // Two at once, so that there are messages whose order nobody promises.
        sending.push(keepSending(device, people), keepSending(device, people))
      }
      return people
    },
    sitDown() {
      habits.isRestless = false
    },
    async comeToRest() {
      if (!people) throw new Error('there is nobody')
      await untilAcknowledged(recorder)
      stopSending.abort()
      await Promise.all(sending)
      crowd.sitDown()
      await comeToRest(people, recorder)
      stopReading.abort()
      await Promise.all(reading)
    },
    get frameFaults() {
      return people?.devices.flatMap(({ faults }) => faults) ?? []
    },
    async [Symbol.asyncDispose]() {
      stopSending.abort()
      stopReading.abort()
      await Promise.all([...sending, ...reading])
    },
  }
  return crowd
}

/** Everything gets the time to arrive, then everybody looks at everything once more. */
async function comeToRest(people: People, { entries, record }: HistoryRecorder): Promise<void> {
  const { devices, group } = people
  await within(finishTimeoutMs, 'everybody is online', () =>
    devices.every(({ isOnline }) => isOnline),
  )
  const [first] = devices
  if (first?.protocol !== 'await') throw new Error('the last sender acknowledges nothing')
  // It moves every cursor to the end, behind what was for other devices only.
  const goodbye = await first.send(group)
  if (goodbye.kind !== 'acknowledged') throw new Error(`no goodbye: ${goodbye.reason}`)
  await within(finishTimeoutMs, 'everybody got the last message', () =>
    devices.every(({ name, seen }) => name === first.name || seen.has(goodbye.name)),
  ).catch(() => undefined)
  let shown = entries.length
  await within(
    finishTimeoutMs,
    'nothing comes any more',
    () => {
      const before = shown
      shown = entries.length
      return shown === before
    },
    500,
  )
  record({ kind: 'quiet' })
  await sleep(settleMs)
  for (const device of devices) {
    if (!(await device.readAll())) throw new Error(`${device.name} cannot read`)
  }
  for (const inbox of inboxesThatErase(devices)) {
    const device = devices.find(({ name }) => name.startsWith(`${inbox}/`))
    if (!device) continue
    let ids: string[] = []
    await within(eraseTimeoutMs, `${inbox}'s inbox is empty`, async () => {
      ids = await idsIn(device)
      return ids.length === 0
    }).catch(() => undefined)
    record({ kind: 'left', inbox, ids })
  }
}

/** They come and go, so not at the same moment. */
export async function untilAllWereOnline(devices: readonly Device[]): Promise<void> {
  await Promise.all(
    devices.map((each) => within(finishTimeoutMs, `${each.name} was online`, () => each.isOnline)),
  )
}

/** Until a send works again, as after every other start. */
async function untilAcknowledged({ entries }: HistoryRecorder): Promise<void> {
  const start = entries.length
  await within(finishTimeoutMs, 'a send was acknowledged', () =>
    entries.slice(start).some(({ kind }) => kind === 'acknowledged'),
  )
}

function inboxesThatErase(devices: readonly Device[]): string[] {
  const inboxOf = ({ name }: Device): string => name.slice(0, name.indexOf('/'))
  const inboxes = [...new Set(devices.map((device) => inboxOf(device)))]
  return inboxes.filter((inbox) =>
    devices.every((device) => inboxOf(device) !== inbox || device.protocol === 'events'),
  )
}

/** What the inbox holds for anybody, up to a page of it. */
async function idsIn({ raw }: Device): Promise<string[]> {
  const { json } = await raw.request<{ notifications: { id: string }[] }>('GET', '/notifications', {
    query: { size: 1_000 },
    expect: 200,
  })
  return json.notifications.map(({ id }) => id)
}

/** Rejects when it is not true in time. */
export async function within(
  timeoutMs: number,
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  pauseMs = 50,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await sleep(pauseMs)
  }
}
