import type { WebSocket } from 'ws'
import type {
  Api,
  EndpointDeclaration,
  HandlerInput,
  Handlers,
  ReplyHeaders,
  RequestContext,
  SocketDeclaration,
} from '../../contract/endpoint.ts'
import type { z } from 'zod'

/** A handler without its types: the listener has parsed the input by the declaration. */
export type AnyHandler = (
  input: HandlerInput<EndpointDeclaration>,
) => Promise<{ status: number; body?: unknown; headers?: ReplyHeaders }>

export interface Route {
  /** `claimHandle`: the key in the api, used in logs, metrics and OpenAPI. */
  readonly name: string
  readonly endpoint: EndpointDeclaration
  readonly handle: AnyHandler
}

/** Binds an api to its handlers. */
export function routes<A extends Api>(api: A, handlers: Handlers<A>): Route[] {
  return Object.entries(api).map(([name, endpoint]) => ({
    name,
    endpoint,
    // The key is the same in both, so the handler takes what this declaration parses to.
    handle: handlers[name] as unknown as AnyHandler,
  }))
}

export interface SocketRequest<D extends SocketDeclaration> {
  readonly query: z.output<D['query']>
  /** From `Authorization: Bearer` or `access_token`; not yet checked. */
  readonly token: string | undefined
  readonly request: Omit<RequestContext, 'contentType'>
}

/**
 * Called before the upgrade is answered: throws an `ApiError` to refuse it, or returns what to do
 * with the socket once it is open. That is called in any case: without a socket when the client has
 * gone meanwhile.
 */
export type SocketHandler<D extends SocketDeclaration> = (
  input: SocketRequest<D>,
) => Promise<(socket: WebSocket | undefined) => void>

export interface SocketRoute {
  readonly name: string
  readonly endpoint: SocketDeclaration
  readonly open: SocketHandler<SocketDeclaration>
}

export function socketRoute<D extends SocketDeclaration>(
  name: string,
  endpoint: D,
  open: SocketHandler<D>,
): SocketRoute {
  return { name, endpoint, open }
}
