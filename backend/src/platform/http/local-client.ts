import { z } from 'zod'
import type { Api, Client, EndpointDeclaration, HandlerInput } from '../../contract/endpoint.ts'
import type { AnyHandler, Route } from './routes.ts'

export interface LocalClientOptions {
  /**
   * Turns input and reply into JSON and back and parses them by the declaration, so that a value
   * which would not survive the wire is found in one process too: for tests and development. Not
   * checked, the handler gets what was given, so the endpoints must be internal ones.
   */
  readonly isChecked: boolean
}

/**
 * A client of a service in this process: plain function calls. `find` is asked at each call, so
 * services may need one another.
 */
export function localClient<A extends Api>(
  api: A,
  find: () => readonly Route[],
  { isChecked }: LocalClientOptions,
): Client<A> {
  const handlers = new Map<EndpointDeclaration, AnyHandler>()
  const handlerOf = (endpoint: EndpointDeclaration): AnyHandler => {
    let handler = handlers.get(endpoint)
    if (handler === undefined) {
      handler = find().find((route) => route.endpoint === endpoint)?.handle
      if (handler === undefined) {
        throw new Error(`${endpoint.method} ${endpoint.path} has no handler in this process`)
      }
      handlers.set(endpoint, handler)
    }
    return handler
  }

  const client: Record<string, unknown> = {}
  for (const [name, endpoint] of Object.entries(api)) {
    client[name] = async (given: GivenInput) => {
      const input = {
        caller: given.caller,
        params: isChecked ? reparse(endpoint.params, given.params) : given.params,
        query: isChecked
          ? reparse(endpoint.query, given.query ?? nothing)
          : (given.query ?? nothing),
        headers: undefined,
        body:
          isChecked && endpoint.body instanceof z.ZodType
            ? reparse(endpoint.body, given.body)
            : given.body,
        request: {
          version: 0,
          requestId: given.requestId ?? '',
          address: '',
          contentType: 'application/json',
          signal: given.signal ?? never,
        },
      } as unknown as HandlerInput<EndpointDeclaration>
      const reply = await handlerOf(endpoint)(input)
      const shape = endpoint.responses[reply.status]
      const body = isChecked && shape instanceof z.ZodType ? reparse(shape, reply.body) : reply.body
      return { status: reply.status, headers: reply.headers ?? {}, body }
    }
  }
  return client as Client<A>
}

interface GivenInput {
  caller?: unknown
  params?: unknown
  query?: unknown
  body?: unknown
  requestId?: string
  signal?: AbortSignal
}

/** As a request without a query is parsed. */
const nothing = {}
const never = new AbortController().signal

function reparse(shape: z.ZodType | undefined, value: unknown): unknown {
  if (shape === undefined) return undefined
  const text = JSON.stringify(value)
  return shape.parse(text === undefined ? undefined : JSON.parse(text))
}
