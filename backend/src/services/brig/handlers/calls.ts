import { issueWireCredential } from '../../../../../turn/src/credentials.ts'
import { callErrors, type callsApi } from '../../../contract/brig/calls.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError } from '../../../contract/error.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { Ids } from '../../../platform/ids.ts'
import { limitRelays } from '../rules/relays.ts'
import type { Turn } from '../turn.ts'

const configSeconds = 3600
const credentialSeconds = 21_600

export function callHandlers(deps: {
  turn: Turn | undefined
  clock: Pick<Clock, 'nowMs'>
  ids: Pick<Ids, 'uint32'>
}): Handlers<typeof callsApi> {
  const { turn, clock, ids } = deps

  /** In a new order each time, so that no relay gets all the calls. */
  function shuffle(uris: readonly string[]): string[] {
    return uris
      .map((uri) => ({ uri, place: ids.uint32() }))
      .toSorted((one, other) => one.place - other.place)
      .map(({ uri }) => uri)
  }

  return {
    getCallConfig({ caller, query }) {
      if (turn === undefined) return Promise.reject(new ApiError(callErrors.noRelay))
      const shuffled = shuffle(turn.uris)
      const uris = query.limit === undefined ? shuffled : limitRelays(shuffled, query.limit)
      const expires = Math.floor(clock.nowMs() / 1000) + credentialSeconds
      const { username, password } = issueWireCredential(caller.user, turn.secret, expires)
      return Promise.resolve({
        status: 200,
        body: {
          ice_servers: shuffle(uris).map((uri) => ({
            urls: [uri],
            username,
            credential: password,
          })),
          ttl: configSeconds,
        },
      })
    },
  }
}
