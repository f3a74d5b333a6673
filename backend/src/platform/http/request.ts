import type { IncomingMessage } from 'node:http'
import type { RequestContext } from '../../contract/endpoint.ts'

/** The headers by which nginz tells a service who is asking; Wire's own names. */
export const identityHeaders = {
  user: 'z-user',
  connection: 'z-connection',
  client: 'z-client',
  type: 'z-type',
  address: 'z-address',
  requestId: 'request-id',
} as const

export function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** Path and query of the request target; absolute-form targets are taken apart too. */
export function splitTarget(target: string): { path: string; query: string } {
  let start = 0
  if (!target.startsWith('/')) {
    const scheme = target.indexOf('://')
    const slash = scheme === -1 ? -1 : target.indexOf('/', scheme + 3)
    if (slash === -1) return { path: '/', query: '' }
    start = slash
  }
  const mark = target.indexOf('?', start)
  return mark === -1
    ? { path: target.slice(start), query: '' }
    : { path: target.slice(start, mark), query: target.slice(mark + 1) }
}

/** Query parameters as an object without prototype; of repeated ones the first counts. */
export function parseQuery(query: string): Record<string, string> {
  const values = Object.create(null) as Record<string, string>
  if (query === '') return values
  for (const [name, value] of new URLSearchParams(query)) values[name] ??= value
  return values
}

/** One object per request, its abort signal made only when somebody asks for it. */
export class IncomingContext implements RequestContext {
  readonly version: number
  readonly requestId: string
  readonly address: string
  readonly contentType: string
  readonly #request: IncomingMessage
  #controller: AbortController | undefined

  constructor(request: IncomingMessage, facts: Omit<RequestContext, 'signal'>) {
    this.version = facts.version
    this.requestId = facts.requestId
    this.address = facts.address
    this.contentType = facts.contentType
    this.#request = request
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController()
      this.#controller = controller
      if (this.#request.socket.destroyed) controller.abort()
      else this.#request.socket.once('close', () => controller.abort())
    }
    return this.#controller.signal
  }
}
