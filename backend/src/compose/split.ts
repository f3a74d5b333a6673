import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { bindDomain, lockDataFolder } from '../adapters/local/data-folder.ts'
import { deliveriesApi } from '../contract/cannon/internal.ts'
import { createDependencies, type Dependencies } from '../platform/dependencies.ts'
import { createAgent, httpClient } from '../platform/http/http-client.ts'
import { fixedUpstream } from '../platform/http/upstream.ts'
import { clientAddress, parseNetworks } from '../platform/http/networks.ts'
import { createProxy } from '../platform/http/proxy.ts'
import { sendError } from '../platform/http/reply.ts'
import { header } from '../platform/http/request.ts'
import { createServe } from '../platform/http/serve.ts'
import type { Route } from '../platform/http/routes.ts'
import { startServer, type RunningServer } from '../platform/http/server.ts'
import { createServeUpgrade } from '../platform/http/upgrade.ts'
import { createMetrics } from '../platform/metrics.ts'
import { operationsRoutes } from '../platform/operations.ts'
import type { Platform, Service } from '../platform/service.ts'
import type { Registry } from '../ports/registry.ts'
import { Unavailable } from '../contract/error.ts'
import { createNginz } from '../services/nginz/index.ts'
import type { Config, ServiceName } from './config.ts'
import { publicEndpoints } from './embedded.ts'
import { gatherPushes } from './gathered-pushes.ts'
import { createInstances } from './instances.ts'
import { internalApis, neighbours } from './neighbours.ts'
import {
  createPlatform,
  loadKeys,
  starters,
  verifierOf,
  type PlatformOverrides,
} from './services.ts'
import { openRegistry, ownInstance } from './registry.ts'
import { openStores, type Stores } from './stores.ts'

export interface RunningOne extends AsyncDisposable {
  /** Where clients come in: at nginz for the API, at cannon for sockets, nowhere else. */
  readonly url: string | undefined
  /** Where the other services call this one; nobody calls nginz. */
  readonly internalUrl: string | undefined
  readonly operatorUrl: string
  readonly greeting: readonly string[]
  drain(): Promise<void>
}

const graceMs = 10_000
/** A gundeck that hangs is given up so soon that another can be asked before the sender is told 503. */
const pushTimeoutMs = 3000

/**
 * One service in this process, its neighbours over HTTP at the addresses the registry knows. What
 * services say to one another, and what nginz passes on, comes in at the internal listener; clients
 * come in at the listener of nginz and, for sockets, at that of cannon.
 */
export async function startOne(
  name: ServiceName,
  config: Config,
  overrides: PlatformOverrides = {},
): Promise<RunningOne> {
  const own = name === 'nginz' ? undefined : ownInstance(config, name)
  await using starting = new AsyncDisposableStack()
  const platform = createPlatform(config, overrides)
  const keys = await loadKeys(config)
  const metrics = createMetrics(name)
  const dependencies = starting.use(createDependencies({ ...platform, metrics }))
  const registry = starting.use(await openRegistry(config, platform, dependencies))
  let isDraining = false
  let started: Awaited<ReturnType<typeof startWithStores>> | undefined
  let isStarting = true

  // The operator is told from the first moment what is waited for.
  const operations = createServe({
    routes: operationsRoutes({
      services: () => (started === undefined ? [] : [started.service]),
      metrics: [metrics],
      dependencies,
      isStarting: () => isStarting,
      isDraining: () => isDraining,
    }),
    platform,
    metrics: createMetrics('operations'),
    isStrict: config.isStrict,
  })
  const operator = await startServer({
    ...config.operatorListen,
    listener: (request, response) => {
      if (started?.stores.serveOperator(request, response) === true) return
      void operations(request, response).catch((error: unknown) => sendError(response, error))
    },
  })
  starting.defer(() => operator.close(0))

  if (name !== 'nginz') {
    started = await startWithStores(name, {
      config,
      platform,
      registry,
      dependencies,
      keys,
      overrides,
      starting,
    })
  }
  const serve = (routes: readonly Route[]): RequestListener =>
    createServe({ routes, platform, metrics, isStrict: config.isStrict })
  const internal =
    started === undefined
      ? undefined
      : await startServer({ ...config.internalListen, listener: serve(started.service.routes) })
  starting.defer(async () => internal?.close(0))
  const trusted = parseNetworks(config.nginz.trustedProxies)
  const sockets = started?.service.sockets ?? []
  const front = await startFront()
  starting.defer(async () => front?.close(0))

  async function startFront(): Promise<RunningServer | undefined> {
    if (name === 'nginz') {
      return startServer({ ...config.listen, listener: edge(config, platform, registry, keys) })
    }
    if (sockets.length === 0) return undefined
    const upgrade = createServeUpgrade({
      routes: sockets,
      platform,
      addressOf: (request) =>
        clientAddress(
          request.socket.remoteAddress ?? '',
          header(request, 'x-forwarded-for'),
          trusted,
        ),
    })
    return startServer({ ...config.listen, listener: serve([]), upgrade })
  }

  // Last of all: from now on others call us. Those who find us in a list know us already.
  const announced =
    own === undefined || config.registry.kind !== 'etcd'
      ? undefined
      : starting.use(await registry.register(own))
  isStarting = false

  const resources = starting.move()
  return {
    url: front?.url,
    internalUrl: internal?.url,
    operatorUrl: operator.url,
    greeting: [
      `Tricord ${name}, backend domain ${config.domain}`,
      '',
      ...(front === undefined ? [] : [`  clients   ${front.url}`]),
      ...(internal === undefined ? [] : [`  internal  ${internal.url}`]),
      `  status    ${operator.url}/i/status`,
    ],
    async drain() {
      isDraining = true
      await announced?.setDraining()
      // Sockets are told to reconnect and inboxes handed over first; what others ask of us is answered
      // to the end.
      const isFirst = name === 'cannon' || name === 'gundeck'
      if (isFirst) await started?.service.drain()
      await Promise.all([front?.close(graceMs), internal?.close(graceMs)])
      if (!isFirst) await started?.service.drain()
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

async function startWithStores(
  name: Exclude<ServiceName, 'nginz'>,
  parts: {
    readonly config: Config
    readonly platform: Platform
    readonly registry: Registry
    readonly dependencies: Dependencies
    readonly keys: Awaited<ReturnType<typeof loadKeys>>
    readonly overrides: PlatformOverrides
    readonly starting: AsyncDisposableStack
  },
): Promise<{ service: Service; stores: Stores }> {
  const { config, platform, registry, dependencies, keys, overrides, starting } = parts
  const folder = join(config.data, config.instance ?? name)
  starting.use(await lockDataFolder(folder))
  await bindDomain(folder, config.domain)
  const stores = starting.use(openStores({ ...config, data: folder }, platform, name, dependencies))
  const agent = createAgent()
  starting.defer(() => agent.destroy())
  const instances = createInstances(registry, platform.clock)
  const clients = neighbours((service, api) =>
    httpClient(api, { upstream: instances.upstreamOf(service), agent }),
  )
  const gundeck = httpClient(internalApis.gundeck, {
    upstream: instances.upstreamOf('gundeck'),
    agent,
    timeoutMs: pushTimeoutMs,
  })
  const service = starting.use(
    await starters[name]({
      config,
      platform,
      stores,
      neighbours: {
        ...clients,
        gundeck: { ...clients.gundeck, ...gatherPushes(gundeck, platform.clock) },
      },
      keys,
      tokens: verifierOf(keys, platform),
      address: ownInstance(config, name).address,
      overrides,
      cannonAt: (address) => httpClient(deliveriesApi, { upstream: fixedUpstream(address), agent }),
      ownerAt: (address) =>
        httpClient(internalApis.gundeck, { upstream: fixedUpstream(address), agent }),
    }),
  )
  return { service, stores }
}

function edge(
  config: Config,
  platform: Platform,
  registry: Registry,
  keys: Awaited<ReturnType<typeof loadKeys>>,
): RequestListener {
  const agent = createAgent()
  const instances = createInstances(registry, platform.clock)
  const proxies = new Map(
    publicEndpoints().map(({ service }) => [
      service,
      createProxy(instances.upstreamOf(service), agent),
    ]),
  )
  return createNginz({
    config: config.nginz,
    platform,
    endpoints: publicEndpoints(),
    tokens: verifierOf(keys, platform),
    forward: (service) => {
      const proxy = proxies.get(service)
      if (proxy === undefined) throw new Unavailable(`find ${service}`)
      return proxy
    },
  })
}
