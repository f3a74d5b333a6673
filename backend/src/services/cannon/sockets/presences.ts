import type { Logger } from 'pino'
import type { Clock } from '../../../platform/clock.ts'
import type { PresenceStore } from '../../../ports/presence.ts'
import type { LiveSocket } from './live-socket.ts'

/** What a presence says of a socket. */
export type Present = Pick<LiveSocket, 'user' | 'client' | 'connection' | 'openedMs' | 'isClosed'>

/** Tells others who has a socket here. A hint: what fails is tried again some time, and harms nobody. */
export interface Presences {
  onOpen(socket: Present): void
  onClosed(socket: Present): void
  /** Refreshes what is about to be forgotten. */
  run(signal: AbortSignal): Promise<void>
}

const ttlSeconds = 7 * 24 * 60 * 60
/** Of a socket's life: so often its presence is written again, six times before it would end. */
const refreshMs = 24 * 60 * 60 * 1000
const lookEveryMs = 5 * 60 * 1000
/** Sockets that came in one storm are due in one look; the store serves others too. */
const writesAtOnce = 16

/** @param deps.sockets Those that are there, at the moment of the call */
export function createPresences(deps: {
  readonly store: PresenceStore
  /** The cannon. */
  readonly instance: string
  readonly sockets: () => Iterable<Present>
  readonly clock: Clock
  readonly log: Logger
}): Presences {
  const { store, instance, sockets, clock, log } = deps
  /** Could not be written; there are none while the store is well. */
  let missed = new Set<Present>()

  async function note(socket: Present): Promise<void> {
    const { user, connection, client, openedMs } = socket
    const sinceMs = Math.round(clock.nowMs() - (clock.monotonicMs() - openedMs))
    const noted = { user, connection, instance, sinceMs, ...(client && { client }) }
    try {
      await store.add(noted, ttlSeconds)
    } catch (error) {
      log.debug({ err: error }, 'presence not noted')
      if (!socket.isClosed) missed.add(socket)
    }
  }

  async function noteAll(due: Present[], signal: AbortSignal): Promise<void> {
    const writer = async (): Promise<void> => {
      for (let socket = due.pop(); socket && !signal.aborted; socket = due.pop()) {
        if (!socket.isClosed) await note(socket)
      }
    }
    await Promise.all(Array.from({ length: writesAtOnce }, writer))
  }

  const daysOf = (socket: Present, atMs: number): number =>
    Math.floor((atMs - socket.openedMs) / refreshMs)

  return {
    onOpen: (socket) => void note(socket),
    onClosed(socket) {
      missed.delete(socket)
      store
        .remove(socket.user, socket.connection, instance)
        .catch((error: unknown) => log.debug({ err: error }, 'presence not removed'))
    },
    async run(signal) {
      let lookedMs = clock.monotonicMs()
      try {
        for (;;) {
          await clock.sleep(lookEveryMs, signal)
          const nowMs = clock.monotonicMs()
          const due = [...missed]
          missed = new Set()
          for (const socket of sockets()) {
            const lastDays = daysOf(socket, Math.max(lookedMs, socket.openedMs))
            if (daysOf(socket, nowMs) > lastDays) due.push(socket)
          }
          lookedMs = nowMs
          await noteAll(due, signal)
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
  }
}
