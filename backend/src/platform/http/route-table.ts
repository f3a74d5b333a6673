import createRouter, { type HTTPMethod } from 'find-my-way'
import { newestVersion, oldestVersion, type Versions } from '../../contract/endpoint.ts'

interface Versioned {
  readonly endpoint: {
    readonly path: string
    readonly versions: Versions
    readonly isUnprefixed?: boolean
  }
}

export type Match<R> =
  | {
      kind: 'found'
      route: R
      params: Readonly<Record<string, string | undefined>>
      version: number
    }
  | { kind: 'unsupported-version' }
  | { kind: 'method-not-allowed' }
  | { kind: 'not-found' }

const prefix = /^\/v(0|[1-9][0-9]{0,3})(?=\/|$)/
const methods: HTTPMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/**
 * Finds the route of a request by method, path and API version, once, before Express walks
 * anything. Paths under `/i/` have no versions.
 */
export class RouteTable<R extends Versioned> {
  readonly #router = createRouter({
    caseSensitive: true,
    ignoreDuplicateSlashes: false,
    ignoreTrailingSlash: false,
    // A property's key may be 1024 characters, each percent-encoded.
    maxParamLength: 4096,
  })

  constructor(routes: readonly (R & { readonly method: HTTPMethod })[]) {
    const byPath = new Map<string, { method: HTTPMethod; path: string; candidates: R[] }>()
    for (const route of routes) {
      const path = route.endpoint.path.replaceAll(/\{([^}]+)\}/g, ':$1')
      const shape = `${route.method} ${path.replaceAll(/:[^/]+/g, ':')}`
      const entry = byPath.get(shape)
      if (entry === undefined) {
        byPath.set(shape, { method: route.method, path, candidates: [route] })
      } else {
        if (entry.path !== path) {
          throw new Error(`${shape}: parameters are named differently in ${entry.path} and ${path}`)
        }
        for (const other of entry.candidates) {
          if (overlaps(other.endpoint.versions, route.endpoint.versions)) {
            throw new Error(`${route.method} ${path} is declared twice for one version`)
          }
        }
        entry.candidates.push(route)
      }
    }
    for (const { method, path, candidates } of byPath.values()) {
      this.#router.on(method, path, () => undefined, candidates)
    }
  }

  find(method: string, path: string): Match<R> {
    const match = prefix.exec(path)
    const version = match === null ? undefined : Number(match[1])
    if (version !== undefined && (version < oldestVersion || version > newestVersion)) {
      return { kind: 'unsupported-version' }
    }
    const bare = match === null ? path : path.slice(match[0].length) || '/'
    // What answers GET answers HEAD, without its content (RFC 9110 §9.3.2).
    const found =
      this.#find(method as HTTPMethod, bare) ??
      (method === 'HEAD' ? this.#find('GET', bare) : undefined)
    if (found === undefined) {
      const isOtherMethod = methods.some(
        (other) => other !== method && this.#find(other, bare) !== undefined,
      )
      return { kind: isOtherMethod ? 'method-not-allowed' : 'not-found' }
    }
    const isInternal = found.candidates[0]?.endpoint.path.startsWith('/i/') === true
    // Neither `/v9/i/...` nor `/%69/...`, which might get past whoever guards the one true path.
    if (isInternal && !path.startsWith('/i/')) return { kind: 'not-found' }
    for (const route of found.candidates) {
      const { versions, isUnprefixed } = route.endpoint
      if (version === undefined) {
        if (isInternal) {
          return { kind: 'found', route, params: found.params, version: newestVersion }
        }
        if (isUnprefixed === true && versions.first <= oldestVersion) {
          return { kind: 'found', route, params: found.params, version: oldestVersion }
        }
      } else if (versions.first <= version && version <= versions.last) {
        return { kind: 'found', route, params: found.params, version }
      }
    }
    // No prefix means version 0, which is gone like every other version below the oldest.
    return { kind: version === undefined ? 'unsupported-version' : 'not-found' }
  }

  #find(
    method: HTTPMethod,
    path: string,
  ): { candidates: R[]; params: Record<string, string | undefined> } | undefined {
    const found = this.#router.find(method, path)
    if (found === null) return undefined
    return { candidates: found.store as R[], params: found.params }
  }
}

function overlaps(a: Versions, b: Versions): boolean {
  return a.first <= b.last && b.first <= a.last
}
