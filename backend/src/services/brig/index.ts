import type { KeyObject } from 'node:crypto'
import type { Client } from '../../contract/endpoint.ts'
import type { galleyInternalApi } from '../../contract/galley/internal.ts'
import type { inboxApi, pushApi } from '../../contract/gundeck/internal.ts'
import type { Domain } from '../../contract/ids.ts'
import { createPasswords } from '../../platform/passwords.ts'
import type { PasswordCost } from '../../platform/passwords.ts'
import type { Platform, Service } from '../../platform/service.ts'
import { createSigner } from '../../platform/zauth/signer.ts'
import type { TokenVerifier } from '../../platform/zauth/verifier.ts'
import type { MailSender } from '../../ports/mail.ts'
import type { UserSearch } from '../../ports/search.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { accountTables, createAccounts } from './accounts.ts'
import type { BrigConfig } from './config.ts'
import { userEvents } from './events.ts'
import { peopleFor, peopleRoutes, peopleTables } from './people.ts'
import { userStore } from './store/users.ts'
import { openTurn } from './turn.ts'
import { runDeletionSweep } from './workers/deletion-sweep.ts'
import { runSearchRefill } from './workers/search-refill.ts'

export interface BrigDeps {
  readonly config: BrigConfig
  readonly domain: Domain
  readonly platform: Platform
  readonly db: WideColumnStore
  readonly search: UserSearch
  readonly mail: MailSender
  /** Sign access tokens and cookies; the newest last. */
  readonly keys: readonly KeyObject[]
  readonly tokens: TokenVerifier
  readonly galley: Client<typeof galleyInternalApi>
  readonly gundeck: Client<typeof pushApi & typeof inboxApi>
  /** Tests lower it. */
  readonly passwordCost?: PasswordCost
}

/** Accounts and people: who somebody is, and whom they know. */
export async function startBrig(deps: BrigDeps): Promise<Service> {
  const { config, platform, db, galley, gundeck } = deps
  const { clock, ids, log } = platform
  await db.open([...accountTables, ...peopleTables])
  const turn = await openTurn(config.turn)

  const users = userStore(db, clock)
  const events = userEvents({ gundeck, clock, ids })
  const people = peopleFor({ ...deps, users, events })
  const accountsHalf = createAccounts({
    ...deps,
    users,
    events,
    people,
    sender: deps.mail,
    passwords: createPasswords({
      ids,
      ...(deps.passwordCost !== undefined && { cost: deps.passwordCost }),
    }),
    signer: createSigner({ privateKeys: deps.keys }),
  })
  const { accounts, handles, deletion } = accountsHalf

  const stopping = new AbortController()
  const sweeping = runDeletionSweep(
    { deletion, clock, log, everySeconds: config.sweepEverySeconds },
    stopping.signal,
  )
  const refilling = runSearchRefill({ search: deps.search, users, clock, log }, stopping.signal)

  return {
    name: 'brig',
    routes: [
      ...accountsHalf.routes,
      ...peopleRoutes({ ...deps, users, events, handles, accounts, galley, gundeck, turn }),
    ],
    sockets: [],
    missing: () => Promise.resolve([]),
    drain: () => Promise.resolve(),
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await Promise.all([sweeping, refilling])
      await accountsHalf[Symbol.asyncDispose]()
    },
  }
}
