import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import {
  MalformedBody,
  type Body,
  type EndpointDeclaration,
  type HandlerInput,
  type UserCaller,
} from '../../contract/endpoint.ts'
import { ApiError, kitErrors } from '../../contract/error.ts'
import type { ClientId, ConnectionId, UserId } from '../../contract/ids.ts'
import type { Metrics } from '../metrics.ts'
import type { Platform } from '../service.ts'
import {
  createBodyMemory,
  mediaType,
  readBody,
  readJson,
  streamOf,
  type BodyTimeouts,
  type HeldMemory,
} from './body.ts'
import { describe, sendError, sendReply } from './reply.ts'
import { header, identityHeaders, IncomingContext, parseQuery, splitTarget } from './request.ts'
import { RouteTable } from './route-table.ts'
import type { Route } from './routes.ts'

export interface ServeOptions {
  readonly routes: readonly Route[]
  readonly platform: Platform
  readonly metrics: Metrics
  /**
   * Tests and development: an error label that the endpoint does not declare is a defect, answered
   * as 500, so that it cannot go unnoticed.
   */
  readonly isStrict: boolean
  readonly timeouts?: BodyTimeouts
  /** Memory that the bodies of all requests may take together; streams do not count. */
  readonly heldBytes?: number
}

/** Answers requests that nginz, or another service, has let through. */
export type Serve = (request: IncomingMessage, response: ServerResponse) => Promise<void>

const defaultTimeouts: BodyTimeouts = { idleMs: 30_000, totalMs: 10 * 60_000 }
const defaultLimitBytes = 512 * 1024
/** Three of the largest messages. Handling a body takes several times its size. */
const defaultHeldBytes = 128 * 1024 * 1024
/** As many ids as fit into the default limit, several times over. */
const maxJsonValues = 32_768

/** Routing, parsing, errors and metrics around the handlers of one service. */
export function createServe(options: ServeOptions): Serve {
  const { platform, metrics } = options
  const { log, ids, clock } = platform
  const timeouts = options.timeouts ?? defaultTimeouts
  const memory = createBodyMemory(options.heldBytes ?? defaultHeldBytes)
  const table = new RouteTable(
    options.routes.map((route) => ({ ...route, method: route.endpoint.method })),
  )

  return async function serve(request, response) {
    const startedMs = clock.monotonicMs()
    const requestId = header(request, identityHeaders.requestId) ?? ids.uuid()
    let name = 'none'
    let declaration: EndpointDeclaration | undefined
    const held = memory.open()
    try {
      const { path, query } = splitTarget(request.url ?? '/')
      const match = table.find(request.method ?? 'GET', path)
      if (match.kind !== 'found') throw new ApiError(routeErrors[match.kind])
      const { route, params, version } = match
      name = route.name
      declaration = route.endpoint
      const contentType = mediaType(request)
      const input: HandlerInput<EndpointDeclaration> = {
        caller: callerOf(declaration, request),
        params: parsePart('path', declaration.params, params) as undefined,
        query: parsePart('query', declaration.query, parseQuery(query)) as undefined,
        headers: parsePart('header', declaration.headers, request.headers) as undefined,
        body: (await parseBody(declaration, request, contentType, timeouts, held)) as undefined,
        request: new IncomingContext(request, {
          version,
          requestId,
          address: header(request, identityHeaders.address) ?? request.socket.remoteAddress ?? '',
          contentType,
        }),
      }
      await answer(route, input, response)
    } catch (error) {
      const checked = options.isStrict ? refuseUndeclared(error, declaration) : error
      const sent = sendError(response, checked)
      const { status } = sent.declaration
      if (status === 500) log.error({ requestId, endpoint: name, err: checked }, 'request failed')
      else if (status === 503) {
        log.warn({ requestId, endpoint: name, err: sent.details.cause }, 'dependency unavailable')
      }
    } finally {
      held.release()
    }
    metrics.observeRequest(name, response.statusCode, (clock.monotonicMs() - startedMs) / 1000)
  }
}

async function answer(
  { endpoint, handle }: Route,
  input: HandlerInput<EndpointDeclaration>,
  response: ServerResponse,
): Promise<void> {
  try {
    const reply = await handle(input)
    await sendReply(response, endpoint.responses, reply, response.req.method === 'HEAD')
  } finally {
    const { body } = endpoint
    if (body !== undefined && !isSchema(body) && body.kind === 'stream') {
      // Handlers may leave the rest unread.
      await (input.body as unknown as ReturnType<typeof streamOf>).return()
    }
  }
}

const routeErrors = {
  'not-found': kitErrors.notFound,
  'method-not-allowed': kitErrors.methodNotAllowed,
  'unsupported-version': kitErrors.unsupportedVersion,
} as const

const kitDeclarations = new Set(
  Object.values(kitErrors).map((e) => `${String(e.status)} ${e.label}`),
)

function refuseUndeclared(error: unknown, declaration: EndpointDeclaration | undefined): unknown {
  if (!(error instanceof ApiError) || declaration === undefined) return error
  const { status, label } = error.declaration
  const isKnown =
    kitDeclarations.has(`${String(status)} ${label}`) ||
    declaration.errors.some((known) => known.status === status && known.label === label)
  if (isKnown) return error
  return new Error(
    `${declaration.method} ${declaration.path} answers ${String(status)} ${label}, which it does not declare`,
    { cause: error },
  )
}

/** Who asks, by the headers that nginz set; nobody else can reach this listener. */
function callerOf(
  declaration: EndpointDeclaration,
  request: IncomingMessage,
): UserCaller | undefined {
  if (declaration.auth !== 'user') return undefined
  const user = header(request, identityHeaders.user)
  const connection = header(request, identityHeaders.connection)
  if (user === undefined || connection === undefined) throw new ApiError(kitErrors.unauthorized)
  const client = header(request, identityHeaders.client)
  return {
    user: user as UserId,
    connection: connection as ConnectionId,
    client: client as ClientId | undefined,
  }
}

function parsePart(part: string, shape: z.ZodType | undefined, value: unknown): unknown {
  if (shape === undefined) return undefined
  const parsed = shape.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ApiError(kitErrors.badRequest, { message: `In the ${part}: ${describe(parsed.error)}` })
}

async function parseBody(
  declaration: EndpointDeclaration,
  request: IncomingMessage,
  contentType: string,
  timeouts: BodyTimeouts,
  held: HeldMemory,
): Promise<unknown> {
  const { body } = declaration
  if (body === undefined) return undefined
  if (isSchema(body)) {
    requireType(contentType, ['application/json', ''])
    const bytes = await readBody(
      request,
      declaration.limitBytes ?? defaultLimitBytes,
      timeouts,
      held,
    )
    // Clients send no body where every field is optional.
    const bounds = declaration.auth === 'internal' ? {} : { maxValues: maxJsonValues }
    const value = bytes.length === 0 ? undefined : readJson(bytes, bounds).value
    return parsePart('body', body, value)
  }
  switch (body.kind) {
    case 'json-text': {
      const bytes = await readBody(request, body.limitBytes, timeouts, held)
      return readJson(bytes).text
    }
    case 'bytes':
      requireType(contentType, body.types)
      return readBody(request, body.limitBytes, timeouts, held)
    case 'decoded': {
      requireType(contentType, body.types)
      const bytes = await readBody(request, body.limitBytes, timeouts, held)
      try {
        return body.decode(bytes, contentType)
      } catch (cause) {
        if (!(cause instanceof MalformedBody)) throw cause
        throw new ApiError(kitErrors.badRequest, { message: cause.message, cause })
      }
    }
    case 'stream':
      requireType(contentType, body.types)
      return streamOf(request, timeouts)
  }
}

export function isSchema(body: Body): body is z.ZodType {
  return body instanceof z.ZodType
}

function requireType(type: string, allowed: readonly string[]): void {
  if (!allowed.includes(type)) {
    throw new ApiError(kitErrors.unsupportedMediaType, {
      message: `The body must be of type ${allowed.filter((name) => name !== '').join(' or ')}`,
    })
  }
}
