import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyObject } from 'node:crypto'
import { pino, type Logger } from 'pino'
import type { CommitHooks } from '../adapters/sqlite/group-commit.ts'
import type { Clock } from '../platform/clock.ts'
import { systemClock } from '../platform/clock.ts'
import { systemIds } from '../platform/ids.ts'
import { createPasswords, type PasswordCost } from '../platform/passwords.ts'
import { createLogger } from '../platform/log/logger.ts'
import type { Platform, Service } from '../platform/service.ts'
import { loadOrCreatePrivateKeys, publicKeyOf } from '../platform/zauth/keys.ts'
import { createVerifier, type TokenVerifier } from '../platform/zauth/verifier.ts'
import { startBrig } from '../services/brig/index.ts'
import { startCannon } from '../services/cannon/index.ts'
import { startCargohold } from '../services/cargohold/index.ts'
import { startGalley } from '../services/galley/index.ts'
import { startGundeck, type GundeckHooks } from '../services/gundeck/index.ts'
import type { CannonAt } from '../services/gundeck/inbox/cannons.ts'
import type { Config, ServiceName } from './config.ts'
import type { Neighbours } from './neighbours.ts'
import type { Stores } from './stores.ts'

/** What tests hold in their hand: time, faults between steps, and an ear at the edge. */
export interface PlatformOverrides {
  readonly clock?: Clock
  readonly log?: Logger
  readonly gundeckHooks?: GundeckHooks
  readonly commitHooks?: CommitHooks
  readonly passwordCost?: PasswordCost
  /** False: gundeck's main thread gives its signs of life, so that clock and hooks are theirs too. */
  readonly isBeatInThread?: boolean
}

export interface Parts {
  readonly config: Config
  readonly platform: Platform
  readonly stores: Stores
  readonly neighbours: Neighbours
  readonly keys: readonly KeyObject[]
  readonly tokens: TokenVerifier
  /** Where other processes reach this one. */
  readonly address: string
  readonly overrides: PlatformOverrides
  /** The cannon that answers at the address it gave. */
  readonly cannonAt: CannonAt
  /** The gundeck that answers at its address in the ring. */
  readonly ownerAt: (address: string) => Neighbours['gundeck']
}

export function createPlatform(config: Config, overrides: PlatformOverrides): Platform {
  return {
    log:
      overrides.log ??
      (config.log.level === 'silent'
        ? pino({ level: 'silent' })
        : createLogger({ level: config.log.level })),
    clock: overrides.clock ?? systemClock(),
    ids: systemIds(),
  }
}

/** The keys that sign tokens: made at the first start, the same for every service. */
export async function loadKeys(config: Config): Promise<KeyObject[]> {
  await mkdir(config.data, { recursive: true, mode: 0o700 })
  return loadOrCreatePrivateKeys(join(config.data, 'zauth.keys'))
}

export function verifierOf(keys: readonly KeyObject[], platform: Platform): TokenVerifier {
  return createVerifier({
    publicKeys: keys.map(publicKeyOf),
    nowSeconds: () => Math.floor(platform.clock.nowMs() / 1000),
    cacheSize: 50_000,
  })
}

/** How each service is started from the parts; nginz is not one of them, it has no neighbours. */
export const starters: Readonly<
  Record<Exclude<ServiceName, 'nginz'>, (parts: Parts) => Promise<Service>>
> = {
  async brig({ config, platform, stores, neighbours, keys, tokens, overrides }) {
    return startBrig({
      config: config.brig,
      domain: config.domain,
      platform,
      db: await stores.wideColumn(),
      search: await stores.search(),
      mail: await stores.mail(),
      galley: neighbours.galley,
      gundeck: neighbours.gundeck,
      keys,
      tokens,
      ...(overrides.passwordCost === undefined ? {} : { passwordCost: overrides.passwordCost }),
    })
  },
  async galley({ config, platform, stores, neighbours }) {
    return startGalley({
      config: config.galley,
      domain: config.domain,
      platform,
      db: await stores.wideColumn(),
      // A SQLite file belongs to one process.
      isAlone: config.wideColumn.kind === 'sqlite',
      passwords: createPasswords({ ids: platform.ids }),
      brig: neighbours.brig,
      gundeck: neighbours.gundeck,
    })
  },
  async gundeck(parts) {
    const { config, platform, stores, neighbours, address, overrides, cannonAt, ownerAt } = parts
    const push = await stores.push()
    // Each waits for the store, so both at once.
    const hasThread = overrides.isBeatInThread !== false
    const [db, beatPort] = await Promise.all([
      stores.wideColumn(),
      hasThread ? stores.beat() : undefined,
    ])
    return startGundeck({
      config: { ...config.gundeck, instance: config.instance ?? config.gundeck.instance },
      platform,
      db,
      ...(beatPort === undefined ? {} : { beatPort }),
      // A SQLite file belongs to one process.
      isAlone: config.wideColumn.kind === 'sqlite',
      address,
      cannonAt,
      ownerAt,
      brig: neighbours.brig,
      ...(push === undefined ? {} : { push }),
      ...(overrides.gundeckHooks === undefined ? {} : { hooks: overrides.gundeckHooks }),
    })
  },
  async cannon({ config, platform, stores, neighbours, tokens, address, ownerAt }) {
    return startCannon({
      config: config.cannon,
      platform,
      presence: await stores.presence(),
      gundeck: neighbours.gundeck,
      ownerAt,
      tokens,
      address,
    })
  },
  async cargohold({ config, platform, stores, neighbours }) {
    return startCargohold({
      config: config.cargohold,
      domain: config.domain,
      platform,
      objects: await stores.objects(),
      brig: neighbours.brig,
    })
  },
}
