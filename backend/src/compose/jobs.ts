import { hostname } from 'node:os'
import { lockDataFolder } from '../adapters/local/data-folder.ts'
import { localRegistry } from '../adapters/local/registry.ts'
import type { Platform } from '../platform/service.ts'
import type { Registry } from '../ports/registry.ts'
import type { Config } from './config.ts'
import { createPlatform, type PlatformOverrides } from './services.ts'
import { openStores, type Stores } from './stores.ts'

/** What a job works with: the stores of all services, and no service. */
export interface JobEnvironment extends AsyncDisposable {
  readonly config: Config
  readonly platform: Platform
  readonly stores: Stores
  readonly registry: Registry
  /** Who runs the job, for people: host and process. */
  readonly holder: string
  /** Closes something together with the environment. */
  use<T extends AsyncDisposable>(resource: T): T
}

/** Opens what jobs share; each store is opened by the job that asks for it. */
export async function openJobEnvironment(
  config: Config,
  overrides: PlatformOverrides = {},
): Promise<JobEnvironment> {
  await using opening = new AsyncDisposableStack()
  // A SQLite file has one writer: the server that uses it, or this job.
  if (config.wideColumn.kind === 'sqlite') opening.use(await lockDataFolder(config.data))
  const platform = createPlatform(config, overrides)
  const stores = opening.use(openStores(config, platform, 'tricord'))
  const registry = opening.use(localRegistry())
  const opened = opening.move()
  return {
    config,
    platform,
    stores,
    registry,
    holder: `${hostname()} process ${process.pid}`,
    use: (resource) => opened.use(resource),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
