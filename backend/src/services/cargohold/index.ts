import type { brigInternalApi } from '../../contract/brig/internal.ts'
import { assetsApi } from '../../contract/cargohold/assets.ts'
import type { Client } from '../../contract/endpoint.ts'
import type { Domain } from '../../contract/ids.ts'
import { routes } from '../../platform/http/routes.ts'
import type { Platform, Service } from '../../platform/service.ts'
import type { ObjectStore } from '../../ports/objects.ts'
import type { CargoholdConfig } from './config.ts'
import { assetHandlers } from './handlers/assets.ts'
import { runSweep } from './workers/sweep.ts'

export interface CargoholdDeps {
  readonly config: CargoholdConfig
  readonly domain: Domain
  readonly platform: Platform
  readonly objects: ObjectStore
  readonly brig: Pick<Client<typeof brigInternalApi>, 'listUserSummaries'>
}

/** Assets: ciphertext in, ciphertext out, streamed both ways. */
export function startCargohold(deps: CargoholdDeps): Promise<Service> {
  const stopping = new AbortController()
  const sweep = runSweep({ ...deps, everySeconds: deps.config.sweepEverySeconds }, stopping.signal)
  return Promise.resolve({
    name: 'cargohold',
    routes: routes(assetsApi, assetHandlers(deps)),
    sockets: [],
    missing: () => Promise.resolve([]),
    drain: () => Promise.resolve(),
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await sweep
    },
  })
}
