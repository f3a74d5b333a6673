import { hostname } from 'node:os'
import { localRegistry } from '../adapters/local/registry.ts'
import { ConfigError } from '../platform/config/load.ts'
import type { Dependencies } from '../platform/dependencies.ts'
import type { Platform } from '../platform/service.ts'
import type { Instance, Registry } from '../ports/registry.ts'
import type { Config, ServiceName } from './config.ts'

/** The registry that the configuration names; etcd need not be there yet. */
export async function openRegistry(
  config: Config,
  platform: Platform,
  dependencies: Dependencies,
): Promise<Registry> {
  switch (config.registry.kind) {
    case 'local':
      return localRegistry()
    case 'static':
      return localRegistry(listed(config.registry.instances))
    case 'etcd': {
      const { openEtcdRegistry } = await import('../adapters/etcd/registry.ts')
      return openEtcdRegistry(config.registry, { ...platform, dependencies })
    }
  }
}

type Listed = Extract<Config['registry'], { kind: 'static' }>['instances']

const listed = (services: Listed): Instance[] =>
  Object.entries(services).flatMap(([service, instances]) =>
    instances.map((instance) => ({ service, isDraining: false, ...instance })),
  )

/**
 * Where the others reach this process.
 *
 * @throws ConfigError when nobody could reach it
 */
export function ownInstance(config: Config, service: ServiceName): Instance {
  const { registry, instance } = config
  if (registry.kind === 'local') {
    throw problem('one service per process needs a registry that names all of them (static, etcd)')
  }
  if (registry.kind === 'static') {
    const own = listed(registry.instances).find(
      (one) => one.service === service && (instance === undefined || one.id === instance),
    )
    if (own !== undefined) return own
    throw problem(
      instance === undefined
        ? `there is no ${service} in the list`
        : `there is no ${service} with the id ${instance}, which instance says that this is`,
    )
  }
  return {
    service,
    id: instance ?? `${service}@${hostname()}`,
    address: config.advertise ?? listenAddress(config),
    isDraining: false,
  }
}

function listenAddress({ internalListen: { host, port } }: Config): string {
  if (port === 0 || host === '0.0.0.0' || host === '::') {
    throw problem('etcd needs advertise, since internalListen is not an address to be called at')
  }
  return `http://${host.includes(':') ? `[${host}]` : host}:${String(port)}`
}

const problem = (sentence: string): ConfigError =>
  new ConfigError('the configuration', [`registry: ${sentence}`])
