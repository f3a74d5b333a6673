import type { RequestListener } from 'node:http'
import { bindDomain, lockDataFolder } from '../adapters/local/data-folder.ts'
import { publicApis } from '../contract/public.ts'
import type { EndpointDeclaration } from '../contract/endpoint.ts'
import { ApiError, kitErrors } from '../contract/error.ts'
import { localClient } from '../platform/http/local-client.ts'
import { clientAddress, parseNetworks } from '../platform/http/networks.ts'
import { sendError } from '../platform/http/reply.ts'
import { header } from '../platform/http/request.ts'
import { createServe, type Serve } from '../platform/http/serve.ts'
import { startServer, type RunningServer } from '../platform/http/server.ts'
import { createServeUpgrade } from '../platform/http/upgrade.ts'
import { createDependencies } from '../platform/dependencies.ts'
import { createMetrics } from '../platform/metrics.ts'
import { operationsRoutes } from '../platform/operations.ts'
import type { Service } from '../platform/service.ts'
import { createNginz, type PublicEndpoint } from '../services/nginz/index.ts'
import type { Config } from './config.ts'
import { neighbours } from './neighbours.ts'
import {
  createPlatform,
  loadKeys,
  starters,
  verifierOf,
  type Parts,
  type PlatformOverrides,
} from './services.ts'
import { openStores } from './stores.ts'

export interface EmbeddedOverrides extends PlatformOverrides {
  /** Sees every request and reply at the edge. */
  readonly wrapListener?: (listener: RequestListener) => RequestListener
}

export interface RunningEmbedded extends AsyncDisposable {
  /** API and sockets. */
  readonly url: string
  /** Status, metrics, dev mailbox. */
  readonly operatorUrl: string
  readonly greeting: readonly string[]
  /** Tells sockets to reconnect, finishes work in progress. Disposal follows. */
  drain(): Promise<void>
}

/** In the order of starting; the reverse is the order of stopping. */
const startOrder = ['gundeck', 'galley', 'brig', 'cargohold', 'cannon'] as const
/** Requests in progress may take this long when the process is told to stop. */
const graceMs = 10_000

/** Every public endpoint with the service that answers it. */
export function publicEndpoints(): PublicEndpoint[] {
  return Object.entries(publicApis).flatMap(([service, apis]) =>
    apis.flatMap((api) =>
      Object.values(api as Readonly<Record<string, EndpointDeclaration>>).map((endpoint) => ({
        service,
        endpoint,
      })),
    ),
  )
}

/** The whole backend in one process, on one port. */
export async function startEmbedded(
  config: Config,
  overrides: EmbeddedOverrides = {},
): Promise<RunningEmbedded> {
  await using starting = new AsyncDisposableStack()
  starting.use(await lockDataFolder(config.data))
  await bindDomain(config.data, config.domain)
  const platform = createPlatform(config, overrides)
  const storeMetrics = createMetrics('stores')
  const dependencies = starting.use(createDependencies({ ...platform, metrics: storeMetrics }))
  const stores = starting.use(
    openStores(config, platform, 'tricord', dependencies, overrides.commitHooks),
  )
  const keys = await loadKeys(config)
  const tokens = verifierOf(keys, platform)
  const { isStrict } = config

  const running = new Map<string, Service>()
  const clients = neighbours((service, api) =>
    localClient(api, () => running.get(service)?.routes ?? [], { isChecked: isStrict }),
  )
  const parts: Parts = {
    config,
    platform,
    stores,
    neighbours: clients,
    keys,
    tokens,
    address: 'in-process',
    overrides,
    cannonAt: () => clients.cannon,
    ownerAt: () => clients.gundeck,
  }
  for (const name of startOrder) {
    running.set(name, starting.use(await starters[name](parts)))
  }
  const services = [...running.values()]

  const metrics = services.map(({ name }) => createMetrics(name))
  const serves = new Map<string, Serve>(
    services.map(({ name, routes }, index) => [
      name,
      createServe({
        routes: routes.filter(({ endpoint }) => endpoint.auth !== 'internal'),
        platform,
        metrics: metrics[index] ?? createMetrics(name),
        isStrict,
      }),
    ]),
  )
  const edge = createNginz({
    config: config.nginz,
    platform,
    endpoints: publicEndpoints(),
    tokens,
    forward: (service) => {
      const serve = serves.get(service)
      if (serve === undefined) throw new ApiError(kitErrors.notFound)
      return serve
    },
  })

  let isDraining = false
  const trusted = parseNetworks(config.nginz.trustedProxies)
  const front = await startServer({
    ...config.listen,
    listener: overrides.wrapListener?.(edge) ?? edge,
    upgrade: createServeUpgrade({
      routes: services.flatMap(({ sockets }) => sockets),
      platform,
      addressOf: (request) =>
        clientAddress(
          request.socket.remoteAddress ?? '',
          header(request, 'x-forwarded-for'),
          trusted,
        ),
    }),
  })
  starting.defer(() => front.close(0))
  const operations = createServe({
    routes: operationsRoutes({
      services: () => services,
      metrics: [...metrics, storeMetrics],
      dependencies,
      isDraining: () => isDraining,
    }),
    platform,
    metrics: createMetrics('operations'),
    isStrict,
  })
  const operator = await startServer({
    ...config.operatorListen,
    listener: (request, response) => {
      if (stores.serveOperator(request, response)) return
      void operations(request, response).catch((error: unknown) => sendError(response, error))
    },
  })
  starting.defer(() => operator.close(0))

  const resources = starting.move()
  return {
    url: front.url,
    operatorUrl: operator.url,
    greeting: greeting(config, front, operator),
    async drain() {
      isDraining = true
      for (const service of services.toReversed().filter(({ name }) => name === 'cannon')) {
        await service.drain()
      }
      await front.close(graceMs)
      for (const service of services.toReversed().filter(({ name }) => name !== 'cannon')) {
        await service.drain()
      }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function greeting(config: Config, front: RunningServer, operator: RunningServer): string[] {
  return [
    `Tricord, backend domain ${config.domain}`,
    '',
    `  API and sockets   ${front.url}`,
    ...(config.mail.kind === 'mailbox'
      ? [`  mailbox           ${operator.url}   (activation codes and other mails)`]
      : []),
    `  status            ${operator.url}/i/status`,
    `  data              ${config.data}`,
    '',
    "Try it with Wire's own client, from a second terminal:",
    '',
    `  npm run try -- --server ${front.url} --mailbox ${operator.url}`,
    '',
    'Ctrl-C stops it; what is stored stays.',
  ]
}
