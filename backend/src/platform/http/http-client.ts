import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { z } from 'zod'
import type {
  Api,
  Client,
  EndpointDeclaration,
  ReplyHeaders,
  UserCaller,
} from '../../contract/endpoint.ts'
import { ApiError, ErrorBody, Unavailable, UnknownOutcome } from '../../contract/error.ts'
import { identityHeaders } from './request.ts'
import { targets } from './upstream.ts'
import type { Upstream } from './upstream.ts'

export interface HttpClientOptions {
  readonly upstream: Upstream
  /** For the whole exchange. */
  readonly timeoutMs?: number
  readonly agent?: Agent
}

/** Connections between services are kept open and used again. */
export function createAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 64, scheduling: 'lifo' })
}

/**
 * A client of a service in another process. Declared errors are thrown as `ApiError`; a service
 * that cannot be reached as `Unavailable`; an exchange that broke off as `UnknownOutcome`.
 */
export function httpClient<A extends Api>(api: A, options: HttpClientOptions): Client<A> {
  const agent = options.agent ?? createAgent()
  const timeoutMs = options.timeoutMs ?? 10_000
  const targetOf = targets()
  const client: Record<string, unknown> = {}
  for (const [name, endpoint] of Object.entries(api)) {
    const call: Call = (input, address, onGiveUp) =>
      exchange(name, endpoint, input, { target: targetOf(address), agent, timeoutMs, onGiveUp })
    client[name] = (input: GivenInput) => callUpstream(input, call, options.upstream)
  }
  return client as Client<A>
}

type Reply = Awaited<ReturnType<typeof exchange>>
/** Hears of an early end by what it hands to `onGiveUp`. */
type Call = (
  input: GivenInput,
  address: string,
  onGiveUp: (giveUp: (reason: Error) => void) => void,
) => Promise<Reply>

/** Another instance is asked when one cannot be reached at all, so nothing can have been done. */
async function callUpstream(input: GivenInput, call: Call, upstream: Upstream): Promise<Reply> {
  const first = upstream.address()
  for (let address = first; ;) {
    let end: ReturnType<Upstream['begin']> | undefined
    try {
      const reply = await call(input, address, (giveUp) => (end = upstream.begin(address, giveUp)))
      end?.(true)
      return reply
    } catch (error) {
      // Whoever gave up the call says nothing about the instance.
      const isGivenUp = input.signal?.aborted === true
      end?.(isGivenUp ? undefined : !(error instanceof Unavailable))
      if (isGivenUp || !(error instanceof Unreachable) || address !== first) throw error
      address = upstream.address()
      if (address === first) throw error
    }
  }
}

/** The request never left. */
class Unreachable extends Unavailable {}

/** How a request goes there, and to whom it is said how it can be ended. */
interface Way {
  readonly target: RequestOptions
  readonly agent: Agent
  readonly timeoutMs: number
  readonly onGiveUp: Parameters<Call>[2]
}

interface GivenInput {
  caller?: UserCaller
  params?: Readonly<Record<string, string>>
  query?: Readonly<Record<string, string>>
  body?: unknown
  requestId?: string
  signal?: AbortSignal
}

async function exchange(
  name: string,
  endpoint: EndpointDeclaration,
  input: GivenInput,
  way: Way,
): Promise<{ status: number; headers: ReplyHeaders; body: unknown }> {
  const { status, headers, text } = await send(
    name,
    { path: pathOf(endpoint, input), method: endpoint.method },
    headersOf(input),
    encode(endpoint, input.body),
    input.signal,
    way,
  )
  const shape = endpoint.responses[status]
  if (shape === undefined) throw toError(name, endpoint, status, text)
  if (!(shape instanceof z.ZodType))
    return { status, headers, body: text === '' ? undefined : text }
  return { status, headers, body: shape.parse(JSON.parse(text)) }
}

function pathOf(endpoint: EndpointDeclaration, input: GivenInput): string {
  const path = endpoint.path.replaceAll(/\{([^}]+)\}/g, (_, key: string) =>
    encodeURIComponent(input.params?.[key] ?? ''),
  )
  const prefix = path.startsWith('/i/') ? '' : `/v${String(Math.min(endpoint.versions.last, 15))}`
  const query = input.query === undefined ? '' : `?${new URLSearchParams(input.query).toString()}`
  return `${prefix}${path}${query}`
}

function headersOf(input: GivenInput): Record<string, string> {
  const headers: Record<string, string> = {}
  if (input.requestId !== undefined) headers[identityHeaders.requestId] = input.requestId
  if (input.caller !== undefined) {
    headers[identityHeaders.user] = input.caller.user
    headers[identityHeaders.connection] = input.caller.connection
    if (input.caller.client !== undefined) headers[identityHeaders.client] = input.caller.client
  }
  return headers
}

function encode(endpoint: EndpointDeclaration, body: unknown): string | Uint8Array | undefined {
  if (endpoint.body === undefined) return undefined
  // Text leaves together with the head, in one write; bytes would be a second.
  return body instanceof Uint8Array || typeof body === 'string' ? body : JSON.stringify(body)
}

function send(
  name: string,
  options: RequestOptions,
  headers: Record<string, string>,
  body: string | Uint8Array | undefined,
  signal: AbortSignal | undefined,
  { target, agent, timeoutMs, onGiveUp }: Way,
): Promise<{ status: number; headers: ReplyHeaders; text: string }> {
  return new Promise((resolve, reject) => {
    let isSent = false
    const fail = (cause: unknown): void => {
      clearTimeout(timer)
      // A request that never left cannot have been done.
      reject(isSent ? new UnknownOutcome(name, { cause }) : new Unreachable(name, { cause }))
    }
    const request = httpRequest(
      {
        ...target,
        ...options,
        agent,
        headers:
          body === undefined
            ? headers
            : {
                ...headers,
                'content-type': 'application/json',
                'content-length': Buffer.byteLength(body),
              },
        ...(signal === undefined ? {} : { signal }),
      },
      (response: IncomingMessage) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', fail)
        response.on('end', () => {
          clearTimeout(timer)
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers as ReplyHeaders,
            text: Buffer.concat(chunks).toString('utf8'),
          })
        })
      },
    )
    const timer = setTimeout(() => request.destroy(new Error('timed out')), timeoutMs)
    onGiveUp((reason) => request.destroy(reason))
    request.on('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => (isSent = true))
      else isSent = true
    })
    request.on('error', fail)
    request.end(body)
  })
}

function toError(name: string, endpoint: EndpointDeclaration, status: number, text: string): Error {
  let body: ErrorBody | undefined
  try {
    body = ErrorBody.parse(JSON.parse(text))
  } catch {
    body = undefined
  }
  if (status === 503 || status === 420 || status === 429) return new Unavailable(name)
  const declared = endpoint.errors.find(
    (known) => known.status === status && known.label === body?.label,
  )
  if (declared === undefined || body === undefined) {
    // Anything else, such as 400, is our own mistake and must not pass for one of our caller.
    return new Error(`${name} was answered ${String(status)} ${text.slice(0, 300)}`)
  }
  const { code: _code, label: _label, message, ...data } = body
  return new ApiError(declared, { message, data })
}
