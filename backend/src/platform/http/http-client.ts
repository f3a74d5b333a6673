import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
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
  const client: Record<string, unknown> = {}
  for (const [name, endpoint] of Object.entries(api)) {
    client[name] = (input: GivenInput) =>
      exchange(name, endpoint, input, options.address(), agent, timeoutMs)
  }
  return client as Client<A>
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
  address: string,
  agent: Agent,
  timeoutMs: number,
): Promise<{ status: number; headers: ReplyHeaders; body: unknown }> {
  const { status, headers, text } = await send(
    name,
    new URL(pathOf(endpoint, input), address),
    endpoint.method,
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

function encode(endpoint: EndpointDeclaration, body: unknown): Buffer | undefined {
  if (endpoint.body === undefined) return undefined
  if (body instanceof Uint8Array) return Buffer.from(body)
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

function send(
  name: string,
  url: URL,
  method: string,
  headers: Record<string, string>,
  body: Buffer | undefined,
  signal: AbortSignal | undefined,
  agent: Agent,
  timeoutMs: number,
): Promise<{ status: number; headers: ReplyHeaders; text: string }> {
  return new Promise((resolve, reject) => {
    let isSent = false
    const fail = (cause: unknown): void => {
      clearTimeout(timer)
      // A request that never left cannot have been done.
      reject(isSent ? new UnknownOutcome(name, { cause }) : new Unavailable(name, { cause }))
    }
    const request = httpRequest(
      url,
      {
        method,
        agent,
        headers:
          body === undefined
            ? headers
            : { ...headers, 'content-type': 'application/json', 'content-length': body.length },
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
