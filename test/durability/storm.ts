import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { freePorts, startServerProcess, type ServerProcess } from '../support/server-process.ts'
import { checkHistory, promises, type Violation } from './checker.ts'
import type { Device, Habits } from './device.ts'
import { formatHistory, recordHistory, type History, type HistoryRecorder } from './history.ts'
import { registerPeople, type People } from './people.ts'

/** One run of the server's process, and how it ends. */
export interface Life {
  /** What its clock shows beyond the host's. */
  readonly clockOffsetMs: number
  /** Whether its clock shows the right time now and then. */
  readonly isJumping?: boolean
  /** It is stopped for so long before the end, and goes on. */
  readonly freezeMs?: number
  readonly end: LifeEnd
}

export type LifeEnd =
  /** SIGKILL, so long after the server is ready. */
  | { readonly kind: 'kill'; readonly afterMs: number }
  /** SIGKILL by its own hand, when it passes a step for the n-th time. */
  | { readonly kind: 'step'; readonly step: string; readonly count: number }
  /** SIGTERM, so long after the server is ready. */
  | { readonly kind: 'stop'; readonly afterMs: number }

export interface StormOptions {
  readonly lives: readonly Life[]
  readonly seed: number
  /** Between two sends of a device, at most. */
  readonly longestPauseMs: number
}

export interface Storm {
  readonly history: History
  readonly violations: readonly Violation[]
  readonly frameFaults: readonly string[]
  /** Steps that were not passed often enough in time; those lives were ended from outside. */
  readonly stepsNotReached: readonly string[]
}

/** Long enough for the server to note what was acknowledged, if it goes on living. */
export const settleMs = 1_000
/** Some messages are so long. */
const largeChars = 30_000
/** A step that is not passed by then will not be. */
const stepTimeoutMs = 8_000
const finishTimeoutMs = 20_000
const eraseTimeoutMs = 10_000

export const serverConfig = {
  log: { level: 'error' },
  cannon: { consumableNotifications: true, drain: { graceSeconds: 0.3 } },
} as const

/** People write to one another while their server dies and comes back again and again. */
export async function runStorm(options: StormOptions): Promise<Storm> {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-storm-'))
  const [listen = 0, operator = 0] = await freePorts(2)
  const recorder = recordHistory()
  const random = randomNumbers(options.seed)
  const habits: Habits = { random, isRestless: true }
  const stepsNotReached: string[] = []

  function start({ clockOffsetMs, isJumping = false, end }: Life): Promise<ServerProcess> {
    const shift = clockOffsetMs === 0 ? [] : [`--clock-offset-ms=${clockOffsetMs}`]
    const die = end.kind === 'step' ? [`--die-at=${end.step}:${end.count}`] : []
    const args = [...shift, ...(isJumping ? ['--clock-jumps'] : []), ...die]
    return startServerProcess({
      data: join(folder, 'data'),
      ports: { listen, operator },
      config: serverConfig,
      ...(args.length > 0 && { entry: 'test/durability/server.ts', args }),
    })
  }

  /** From the start to the end, whichever way. */
  async function live(life: Life, isReady: (server: ServerProcess) => Promise<void>) {
    const { end, clockOffsetMs, freezeMs } = life
    const step = end.kind === 'step' ? { step: `${end.step}:${end.count}` } : {}
    let server: ServerProcess
    try {
      server = await start(life)
    } catch (error) {
      if (end.kind !== 'step' || !String(error).includes('SIGKILL')) throw error
      recorder.record({ kind: 'server-started', clockOffsetMs })
      recorder.record({ kind: 'server-ended', how: 'killed', ...step })
      return
    }
    try {
      recorder.record({ kind: 'server-started', clockOffsetMs })
      await isReady(server)
      if (freezeMs !== undefined) await freeze(server, freezeMs)
      await endOf(server, end)
      const code = await server.exit
      const how = end.kind === 'stop' ? 'stopped' : 'killed'
      recorder.record({ kind: 'server-ended', how, ...step })
      const expected = how === 'stopped' ? 0 : 'SIGKILL'
      if (code !== expected) throw new Error(`the server ended with ${code}: ${server.output()}`)
    } finally {
      await server[Symbol.asyncDispose]()
    }
  }

  async function freeze(server: ServerProcess, ms: number): Promise<void> {
    await sleep(300)
    server.kill('SIGSTOP')
    await sleep(ms)
    server.kill('SIGCONT')
    recorder.record({ kind: 'server-frozen', ms })
  }

  async function endOf(server: ServerProcess, end: LifeEnd): Promise<void> {
    if (end.kind === 'step') {
      const late = setTimeout(() => {
        stepsNotReached.push(`${end.step}:${end.count}`)
        server.kill('SIGKILL')
      }, stepTimeoutMs)
      await server.exit
      clearTimeout(late)
    } else {
      await sleep(end.afterMs)
      server.kill(end.kind === 'kill' ? 'SIGKILL' : 'SIGTERM')
    }
  }

  const stopReading = new AbortController()
  const stopSending = new AbortController()
  let people: People | undefined
  const work: Promise<void>[] = []
  const sending: Promise<void>[] = []

  async function begin(server: ServerProcess): Promise<void> {
    if (people) return
    people = await registerPeople(server, recorder, habits)
    for (const device of people.devices) work.push(device.read(stopReading.signal))
    for (const device of people.devices.filter(({ name }) => name.endsWith('/phone'))) {
      // Two at once, so that there are messages whose order nobody promises.
      for (let loop = 0; loop < 2; loop += 1) {
        sending.push(keepSending(device, people, stopSending.signal))
      }
    }
  }

  async function keepSending(device: Device, { roomsOf }: People, signal: AbortSignal) {
    const rooms = roomsOf.get(device.name.slice(0, device.name.indexOf('/'))) ?? []
    while (!signal.aborted) {
      const room = rooms[Math.floor(random() * rooms.length)]
      if (!room) return
      const outcome = await device.send(room, random() < 0.03 ? largeChars : 0)
      const pauseMs =
        outcome.kind === 'acknowledged' ? random() * options.longestPauseMs : 50 + random() * 50
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
    }
  }

  try {
    for (const life of options.lives) await live(life, begin)
    const last: Life = { clockOffsetMs: 0, end: { kind: 'stop', afterMs: 0 } }
    await live(last, async (server) => {
      await begin(server)
      if (!people) throw new Error('nobody was there')
      await untilAcknowledged(recorder)
      stopSending.abort()
      await Promise.all(sending)
      habits.isRestless = false
      await comeToRest(people, recorder)
      stopReading.abort()
      await Promise.all(work)
    })
    return {
      history: recorder.entries,
      violations: checkHistory(recorder.entries, { settleMs }),
      frameFaults: people?.devices.flatMap(({ faults }) => faults) ?? [],
      stepsNotReached,
    }
  } finally {
    stopSending.abort()
    stopReading.abort()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Everything gets the time to arrive, then everybody looks at everything once more. */
export async function comeToRest(
  people: People,
  { entries, record }: HistoryRecorder,
): Promise<void> {
  const { devices, group } = people
  // Nobody leaves a socket any more, except those who had already decided to.
  await sleep(4_000)
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

/** From 0 up to 1, the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What is wrong, in words; the history lies in a file then. Empty when all is well. */
export async function complaints(
  storm: Pick<Storm, 'history' | 'violations' | 'frameFaults'>,
): Promise<string[]> {
  const { history, violations, frameFaults } = storm
  const found = [
    ...violations.map(({ kind, text }) => `${kind} (${promises[kind]}): ${text}`),
    ...frameFaults.map((fault) => `a frame with ${fault}`),
  ]
  if (found.length === 0) return []
  const file = join(await mkdtemp(join(tmpdir(), 'tricord-history-')), 'history.jsonl')
  await writeFile(file, formatHistory(history))
  const shown = found.slice(0, 20)
  return [`${found.length} violations, history in ${file}`, ...shown]
}
