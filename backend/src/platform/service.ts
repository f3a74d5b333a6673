import type { Logger } from 'pino'
import type { Clock } from './clock.ts'
import type { Route, SocketRoute } from './http/routes.ts'
import type { Ids } from './ids.ts'

/** What every service is given besides its own ports and the clients of its neighbours. */
export interface Platform {
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
}

/** A running service. Disposing it finishes what was accepted, then lets go of its resources. */
export interface Service extends AsyncDisposable {
  readonly name: string
  /** Public and internal endpoints together; the listener tells them apart by their path. */
  readonly routes: readonly Route[]
  readonly sockets: readonly SocketRoute[]
  /** Names of dependencies that do not answer at the moment; empty means ready. */
  missing(): Promise<readonly string[]>
  /** Stops taking new work (sockets are told to reconnect, spread over time); disposal follows. */
  drain(): Promise<void>
}
