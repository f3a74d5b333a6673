import { Registry } from 'prom-client'
import type { Handlers } from '../contract/endpoint.ts'
import { operationsApi } from '../contract/operations.ts'
import { routes, type Route } from './http/routes.ts'
import type { Dependencies } from './dependencies.ts'
import type { Metrics } from './metrics.ts'
import type { Service } from './service.ts'

/** Readiness and counters of the services in this process. */
export function operationsRoutes(options: {
  readonly services: () => readonly Service[]
  readonly metrics: readonly Metrics[]
  readonly dependencies: Pick<Dependencies, 'missing' | 'degraded'>
  /** Whether services are still being started, which may wait for engines. */
  readonly isStarting?: () => boolean
  readonly isDraining: () => boolean
}): Route[] {
  const handlers: Handlers<typeof operationsApi> = {
    async getStatus() {
      if (options.isDraining()) return { status: 503, body: { status: 'draining', missing: [] } }
      const missing = await Promise.all(
        options
          .services()
          .map(async (service) =>
            (await service.missing()).map((dependency) => `${service.name}: ${dependency}`),
          ),
      )
      const list = [...options.dependencies.missing(), ...missing.flat()]
      const degraded = options.dependencies.degraded()
      const more = degraded.length === 0 ? {} : { degraded }
      if (options.isStarting?.() === true) {
        return { status: 503, body: { status: 'starting', missing: list, ...more } }
      }
      return list.length === 0
        ? { status: 200, body: { status: 'ready', ...more } }
        : { status: 503, body: { status: 'waiting', missing: list, ...more } }
    },
    async getMetrics() {
      const merged = Registry.merge(options.metrics.map(({ registry }) => registry))
      return { status: 200, body: Buffer.from(await merged.metrics()) }
    },
  }
  return routes(operationsApi, handlers)
}
