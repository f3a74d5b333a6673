import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { urlToHttpOptions } from 'node:url'
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

export interface HttpClientOptions {
  /** Base URL of an instance that is up, asked for at each call. */
  readonly address: () => string
  /** Told of each call whether the instance answered, other than that it cannot serve. */
  readonly report?: (address: string, isAnswered: boolean) => void
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
  const { report } = options
  const targetOf = targets()
  const client: Record<string, unknown> = {}
  for (const [name, endpoint] of Object.entries(api)) {
    const call = (input: GivenInput, address: string) =>
      exchange(name, endpoint, input, targetOf(address), agent, timeoutMs)
    client[name] = (input: GivenInput) =>
      report === undefined
        ? call(input, options.address())
        : reported(input, call, options.address, report)
  }
  return client as Client<A>
}

type Reply = Awaited<ReturnType<typeof exchange>>

/** Another instance is asked when one cannot be reached at all, so nothing can have been done. */
async function reported(
  input: GivenInput,
  call: (input: GivenInput, address: string) => Promise<Reply>,
  choose: () => string,
  report: (address: string, isAnswered: boolean) => void,
): Promise<Reply> {
  const first = choose()
  for (let address = first; ;) {
    try {
      const reply = await call(input, address)
      report(address, true)
      return reply
    } catch (error) {
      if (!(error instanceof Unavailable)) {
        report(address, true)
        throw error
      }
      // Whoever gave up the call says nothing about the instance.
      if (input.signal?.aborted) throw error
      report(address, false)
      if (!(error instanceof Unreachable) || address !== first) throw error
      address = choose()
      if (address === first) throw error
    }
  }
}

/** The request never left. */
class Unreachable extends Unavailable {}

/** What `node:http` wants to know of a base URL; each is taken apart once. */
export function targets(): (address: string) => RequestOptions {
  const known = new Map<string, RequestOptions>()
  return (address) => {
    let target = known.get(address)
    if (target === undefined) {
      const { protocol, hostname, port } = urlToHttpOptions(new URL(address))
      target = { protocol, hostname, port }
      known.set(address, target)
    }
    return target
  }
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
  target: RequestOptions,
  agent: Agent,
  timeoutMs: number,
): Promise<{ status: number; headers: ReplyHeaders; body: unknown }> {
  const { status, headers, text } = await send(
    name,
    { ...target, path: pathOf(endpoint, input), method: endpoint.method },
    headersOf(input),
    encode(endpoint, input.body),
    input.signal,
    agent,
    timeoutMs,
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
  agent: Agent,
  timeoutMs: number,
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
