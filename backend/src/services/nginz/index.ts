import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { Router, type Request, type Response } from 'express'
import type { EndpointDeclaration } from '../../contract/endpoint.ts'
import { ApiError, kitErrors } from '../../contract/error.ts'
import { clientAddress, limitKey, parseNetworks } from '../../platform/http/networks.ts'
import { sendError } from '../../platform/http/reply.ts'
import { header, identityHeaders, parseQuery, splitTarget } from '../../platform/http/request.ts'
import { RouteTable } from '../../platform/http/route-table.ts'
import type { Serve } from '../../platform/http/serve.ts'
import type { Platform } from '../../platform/service.ts'
import type { TokenVerifier } from '../../platform/zauth/verifier.ts'
import type { NginzConfig } from './config.ts'
import { cors } from './cors.ts'
import { createLimits } from './limits.ts'

export interface PublicEndpoint {
  /** The service that answers it. */
  readonly service: string
  readonly endpoint: EndpointDeclaration
}

export interface NginzDeps {
  readonly config: NginzConfig
  readonly platform: Platform
  readonly endpoints: readonly PublicEndpoint[]
  readonly tokens: TokenVerifier
  /** Hands the request on to a service, in this process or another. */
  readonly forward: (service: string) => Serve
}

/**
 * The edge: finds the endpoint, checks the token, counts the request, says to the service who is
 * asking, and streams the body on unread.
 */
export function createNginz(deps: NginzDeps): RequestListener {
  const { config, platform } = deps
  const trusted = parseNetworks(config.trustedProxies)
  const exempt = parseNetworks(config.limits.exempt)
  const answerBrowser = cors(config.origins)
  const limits = createLimits(config.limits, platform.clock)
  const table = new RouteTable(
    deps.endpoints
      .filter(({ endpoint }) => endpoint.auth !== 'internal')
      .map((route) => ({ ...route, method: route.endpoint.method })),
  )

  /** Gives the request its id and the caller's address, and returns the address. */
  function identify(request: IncomingMessage, response: ServerResponse): string {
    const address = clientAddress(
      request.socket.remoteAddress ?? '',
      header(request, 'x-forwarded-for'),
      trusted,
    )
    // Only we say who is asking.
    for (const name of Object.keys(request.headers)) {
      if (name.startsWith('z-')) delete request.headers[name]
    }
    const requestId = platform.ids.uuid()
    request.headers[identityHeaders.requestId] = requestId
    request.headers[identityHeaders.address] = address
    response.setHeader('request-id', requestId)
    // What users store comes back to others: no browser shall take it for a page.
    response.setHeader('x-content-type-options', 'nosniff')
    return address
  }

  async function admit(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const address = identify(request, response)
    if (answerBrowser(request, response)) return
    const { path, query } = splitTarget(request.url ?? '/')
    const match = table.find(request.method ?? 'GET', path)
    if (match.kind !== 'found') throw new ApiError(routeErrors[match.kind])
    const { service, endpoint } = match.route
    const user =
      endpoint.auth === 'user' ? authenticate(deps.tokens, request.headers, query) : undefined

    const zone = endpoint.rateZone ?? (user === undefined ? 'address' : 'user')
    if (zone !== 'none' && !exempt.includes(address)) {
      limits.count(
        zone,
        zone === 'user' && user !== undefined ? user : `${limitKey(address)} ${endpoint.path}`,
      )
    }
    await deps.forward(service)(request, response)
  }

  function refuse(error: unknown, request: IncomingMessage, response: ServerResponse): void {
    const sent = sendError(response, error)
    if (sent.declaration.status === 500) {
      const requestId = request.headers[identityHeaders.requestId]
      platform.log.error({ requestId, err: error }, 'request failed')
    }
  }

  // Express's router without its application, and one function on the way: changing the prototypes
  // of each request and reply, and walking over more of them, cost a send 8 %.
  const router = Router().use(admit)
  return (request, response) =>
    router(request as Request, response as Response, (error: unknown) =>
      // Without an error: a target in which the router finds no path.
      refuse(error ?? new ApiError(kitErrors.notFound), request, response),
    )
}

const routeErrors = {
  'not-found': kitErrors.notFound,
  'method-not-allowed': kitErrors.methodNotAllowed,
  'unsupported-version': kitErrors.unsupportedVersion,
} as const

/** Checks the access token, sets the identity headers, and returns the user. */
function authenticate(
  tokens: TokenVerifier,
  headers: NodeJS.Dict<string | string[]>,
  query: string,
): string {
  const text = bearer(headers['authorization']) ?? parseQuery(query)['access_token']
  if (text === undefined) throw new ApiError(kitErrors.unauthorized)
  const verdict = tokens.verify(text, ['access'])
  if (!verdict.ok) {
    throw new ApiError(
      verdict.reason === 'wrong-type' ? kitErrors.accessDenied : kitErrors.unauthorized,
    )
  }
  const { user, client, connection } = verdict.token
  delete headers['authorization']
  headers[identityHeaders.type] = 'access'
  headers[identityHeaders.user] = user
  headers[identityHeaders.connection] = String(connection)
  if (client !== undefined) headers[identityHeaders.client] = client
  return user
}

function bearer(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header
  return text !== undefined && /^bearer /i.test(text) ? text.slice(7).trim() : undefined
}
