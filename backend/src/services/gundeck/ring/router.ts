import type { Client } from '../../../contract/endpoint.ts'
import { ApiError, Unavailable } from '../../../contract/error.ts'
import type { queueApi } from '../../../contract/gundeck/attachments.ts'
import type { inboxApi, pushApi } from '../../../contract/gundeck/internal.ts'
import { ringErrors } from '../../../contract/gundeck/ring.ts'
import type { UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'
import { NotOwner } from './ring.ts'
import type { Ring } from './ring.ts'

/** Another gundeck, as the owner of inboxes. */
export type OwnerClient = Client<typeof pushApi & typeof inboxApi & typeof queueApi>
/** Finds the gundeck that answers at the address in the ring. */
export type OwnerAt = (address: string) => OwnerClient

/** What a call of another gundeck says: see `routedQuery`. */
export interface Routed {
  readonly ringVersion?: number | undefined
}

/** Both resolve to those of the users whose inboxes turned out to be elsewhere. */
export interface Errand {
  here(users: readonly UserId[], round: number): Promise<readonly UserId[]>
  /** One call of another owner. `round` counts from 0: a later one may repeat what was done. */
  there(
    owner: OwnerClient,
    users: readonly UserId[],
    call: { readonly query: Routed; readonly signal: AbortSignal; readonly round: number },
  ): Promise<readonly UserId[]>
}

/** Brings calls to the processes that own the inboxes. */
export interface Router {
  /**
   * Splits the users by owner, one call each, side by side. Whose owner is not known, or proves to be
   * another, is tried again after a moment; in the end with `Unavailable`. A routed call does what can
   * be done here, and rejects with `wrongOwner` if that is not all.
   */
  atOwners(users: readonly UserId[], routed: Routed, errand: Errand): Promise<void>
  atOwner<T>(
    user: UserId,
    routed: Routed,
    here: () => Promise<T>,
    there: (owner: OwnerClient, query: Routed, signal: AbortSignal) => Promise<T>,
  ): Promise<T>
}

const pausesMs = [5, 20, 50, 100, 200, 400]
/** So long a call of an owner that does not answer waits for the next owner. */
const heirMs = 1000

export function createRouter(deps: { ring: Ring; ownerAt: OwnerAt; clock: Clock }): Router {
  const { ring, ownerAt, clock } = deps

  /**
   * Given up as soon as the ring says that the other is the owner no more: it may be frozen, and
   * answer in minutes.
   */
  async function ask<T>(
    ownerId: string,
    users: readonly UserId[],
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const given = new AbortController()
    const moved = Promise.withResolvers<never>()
    const isMoved = (user: UserId): boolean => {
      const owner = ring.ownerOf(user)
      return (owner.kind === 'here' ? ring.id : owner.owner?.id) !== ownerId
    }
    const watch = (): void => {
      void ring.nextVersion.then(() => {
        if (given.signal.aborted) return
        if (users.some(isMoved)) moved.reject(new NotOwner())
        else watch()
      })
    }
    watch()
    const answer = call(given.signal)
    answer.catch(() => undefined)
    try {
      return await Promise.race([answer, moved.promise])
    } catch (error) {
      if (!(error instanceof Unavailable) || error instanceof NotOwner) throw error
      // Dead, perhaps. We hear at once of the one that takes over; the caller would try again by and by.
      await Promise.race([moved.promise, clock.sleep(heirMs, given.signal)])
      throw error
    } finally {
      given.abort()
    }
  }

  /** The users whose inboxes are elsewhere, of those that were to be here. */
  async function tryHere(
    users: readonly UserId[],
    errand: Errand,
    round: number,
  ): Promise<readonly UserId[]> {
    try {
      return await errand.here(users, round)
    } catch (error) {
      if (error instanceof NotOwner) return users
      throw error
    }
  }

  async function tryThere(
    { id, address }: OwnerName,
    users: readonly UserId[],
    errand: Errand,
    round: number,
  ): Promise<readonly UserId[]> {
    const query = { ringVersion: ring.map.version }
    try {
      return await ask(id, users, (signal) =>
        errand.there(ownerAt(address), users, { query, signal, round }),
      )
    } catch (error) {
      if (error instanceof NotOwner) return users
      const version = versionIn(error)
      if (version === undefined) throw error
      await ring.refresh(version)
      return users
    }
  }

  async function tryAll(
    users: readonly UserId[],
    errand: Errand,
    round: number,
  ): Promise<readonly UserId[]> {
    const ownUsers: UserId[] = []
    const unknown: UserId[] = []
    const others = new Map<string, { owner: OwnerName; users: UserId[] }>()
    for (const user of users) {
      const owner = ring.ownerOf(user)
      if (owner.kind === 'here') ownUsers.push(user)
      else if (owner.owner === undefined) unknown.push(user)
      else {
        const known = others.get(owner.owner.id)
        if (known) known.users.push(user)
        else others.set(owner.owner.id, { owner: owner.owner, users: [user] })
      }
    }
    const results = await Promise.allSettled([
      ...(ownUsers.length > 0 ? [tryHere(ownUsers, errand, round)] : []),
      ...others.values().map((other) => tryThere(other.owner, other.users, errand, round)),
    ])
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
    const elsewhere = results.flatMap((result) =>
      result.status === 'fulfilled' ? result.value : [],
    )
    return [...unknown, ...elsewhere]
  }

  async function atOwners(users: readonly UserId[], routed: Routed, errand: Errand): Promise<void> {
    const { ringVersion } = routed
    if (ringVersion !== undefined) {
      await ring.refresh(ringVersion)
      const ownUsers = users.filter((user) => ring.ownerOf(user).kind === 'here')
      const elsewhere = ownUsers.length > 0 ? await tryHere(ownUsers, errand, 0) : []
      if (elsewhere.length > 0 || ownUsers.length < users.length) throw wrongOwner(ring)
      return
    }
    let remaining = users
    for (let round = 0; ; round += 1) {
      remaining = await tryAll(remaining, errand, round)
      if (remaining.length === 0) return
      const pauseMs = pausesMs[round]
      if (pauseMs === undefined) throw new Unavailable('the owner of an inbox is not known')
      await clock.sleep(pauseMs)
    }
  }

  return {
    atOwners,
    async atOwner(user, routed, here, there) {
      let found: { result: Awaited<ReturnType<typeof here>> } | undefined
      await atOwners([user], routed, {
        async here() {
          found = { result: await here() }
          return []
        },
        async there(owner, _, { query, signal }) {
          found = { result: await there(owner, query, signal) }
          return []
        },
      })
      if (found === undefined) throw new Error('a call was brought to nobody')
      return found.result
    },
  }
}

interface OwnerName {
  readonly id: string
  readonly address: string
}

export const wrongOwner = (ring: Ring): ApiError =>
  new ApiError(ringErrors.wrongOwner, { data: { ringVersion: ring.map.version } })

/** The ring that a gundeck knows which answers that it is not the owner. */
function versionIn(error: unknown): number | undefined {
  if (!(error instanceof ApiError) || error.declaration !== ringErrors.wrongOwner) return undefined
  const { ringVersion } = error.details.data ?? {}
  return typeof ringVersion === 'number' ? ringVersion : 0
}
