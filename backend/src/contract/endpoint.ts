import type { z } from 'zod'
import type { ErrorDeclaration } from './error.ts'
import type { ClientId, ConnectionId, UserId } from './ids.ts'

/** The API versions we announce: everything below 8 is gone, above 15 nothing is frozen yet. */
export const oldestVersion = 8
export const newestVersion = 15

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/**
 * Who may call. `user`: a valid access token, checked by nginz. `cookie`: nginz lets it through and
 * the handler reads cookie and token itself. `internal`: only from our own processes, under `/i/`.
 */
export type Auth = 'none' | 'cookie' | 'user' | 'bot' | 'provider' | 'internal'

/** Inclusive. */
export interface Versions {
  readonly first: number
  readonly last: number
}
export const since = (first: number): Versions => ({ first, last: Number.POSITIVE_INFINITY })
export const between = (first: number, last: number): Versions => ({ first, last })
export const until = (last: number): Versions => ({ first: 0, last })

/** The requests counted together against one limit; `none` is not limited. See nginz's config. */
export type RateZone = 'user' | 'address' | 'login' | 'register' | 'codes' | 'none'

/** Thrown by a body's `decode`; the sentence goes to the caller as 400 `bad-request`. */
export class MalformedBody extends Error {
  constructor(sentence: string, options: { cause?: unknown } = {}) {
    super(sentence, options)
    this.name = 'MalformedBody'
  }
}

export interface BytesBody {
  readonly kind: 'bytes'
  readonly types: readonly string[]
  readonly limitBytes: number
}
export interface DecodedBody<T> {
  readonly kind: 'decoded'
  readonly types: readonly string[]
  readonly limitBytes: number
  readonly decode: (bytes: Uint8Array, type: string) => T
}
export interface JsonTextBody {
  readonly kind: 'json-text'
  readonly limitBytes: number
}
export interface StreamBody {
  readonly kind: 'stream'
  readonly types: readonly string[]
}
export type Body = z.ZodType | BytesBody | DecodedBody<unknown> | JsonTextBody | StreamBody

/** A body that is handed on as it is, such as `message/mls`. */
export const bytesBody = (types: readonly string[], limitBytes: number): BytesBody => ({
  kind: 'bytes',
  types,
  limitBytes,
})
/** A body in a format of its own, such as protobuf; `decode` throws `MalformedBody`. */
export const decodedBody = <T>(body: Omit<DecodedBody<T>, 'kind'>): DecodedBody<T> => ({
  kind: 'decoded',
  ...body,
})
/** JSON that must come back byte for byte: checked for syntax and handed on as text. */
export const jsonTextBody = (limitBytes: number): JsonTextBody => ({
  kind: 'json-text',
  limitBytes,
})
/** A body of any length, read as the handler takes it. */
export const streamBody = (types: readonly string[]): StreamBody => ({ kind: 'stream', types })

export interface EmptyResponse {
  readonly kind: 'empty'
}
export interface StreamResponse {
  readonly kind: 'stream'
  readonly type: string
}
export interface BytesResponse {
  readonly kind: 'bytes'
  readonly type: string
}
export interface JsonTextResponse {
  readonly kind: 'json-text'
}
export type Response = z.ZodType | EmptyResponse | StreamResponse | BytesResponse | JsonTextResponse

export const empty: EmptyResponse = { kind: 'empty' }
export const streamResponse = (type: string): StreamResponse => ({ kind: 'stream', type })
export const bytesResponse = (type: string): BytesResponse => ({ kind: 'bytes', type })
/** Text that is already JSON; sent as it is. */
export const jsonTextResponse: JsonTextResponse = { kind: 'json-text' }

export interface EndpointDeclaration {
  readonly kind?: 'request'
  readonly method: Method
  /** Without version prefix; parameters in braces: `/users/{domain}/{user}`. */
  readonly path: string
  readonly versions: Versions
  /** Also answered without `/vN`, as some clients call it; seen by the handler as the oldest. */
  readonly isUnprefixed?: boolean
  readonly auth: Auth
  readonly summary: string
  readonly params?: z.ZodType
  readonly query?: z.ZodType
  /** Request headers by lower-case name. */
  readonly headers?: z.ZodType
  readonly body?: Body
  /** For JSON bodies; 512 KiB unless given. */
  readonly limitBytes?: number
  readonly responses: Readonly<Record<number, Response>>
  readonly errors: readonly ErrorDeclaration[]
  /** `user` for authenticated calls and `address` for others, unless given. */
  readonly rateZone?: RateZone
}

/** Declares an endpoint once; routing, parsing, clients and OpenAPI come from it. */
export function endpoint<const D extends EndpointDeclaration>(declaration: D): D {
  return declaration
}

/** A WebSocket upgrade. The handler decides before the upgrade is answered. */
export interface SocketDeclaration {
  readonly kind: 'socket'
  readonly path: string
  readonly versions: Versions
  readonly isUnprefixed?: boolean
  /** The socket's service reads the token itself, from `Authorization` or `access_token`. */
  readonly summary: string
  readonly query: z.ZodType
  readonly errors: readonly ErrorDeclaration[]
}
export function socketEndpoint<const D extends Omit<SocketDeclaration, 'kind'>>(
  declaration: D,
): D & { readonly kind: 'socket' } {
  return { ...declaration, kind: 'socket' }
}

export type Api = Readonly<Record<string, EndpointDeclaration>>

/** Who is asking, as nginz found in the access token. */
export interface UserCaller {
  readonly user: UserId
  /** The device the token is bound to, if it is. */
  readonly client: ClientId | undefined
  readonly connection: ConnectionId
}
type CallerOf<A extends Auth> = A extends 'user' ? UserCaller : undefined

type OutputOf<S> = S extends z.ZodType ? z.output<S> : undefined
type ParsedBody<B> = B extends z.ZodType
  ? z.output<B>
  : B extends BytesBody
    ? Uint8Array
    : B extends DecodedBody<infer T>
      ? T
      : B extends JsonTextBody
        ? string
        : B extends StreamBody
          ? AsyncIterable<Uint8Array>
          : undefined

type Field<D, K extends string> = D extends Readonly<Record<K, infer V>> ? V : undefined

/** What a handler gets: everything parsed. */
export interface HandlerInput<D extends EndpointDeclaration> {
  readonly caller: CallerOf<D['auth']>
  readonly params: OutputOf<Field<D, 'params'>>
  readonly query: OutputOf<Field<D, 'query'>>
  readonly headers: OutputOf<Field<D, 'headers'>>
  readonly body: ParsedBody<Field<D, 'body'>>
  readonly request: RequestContext
}

export interface RequestContext {
  /** The API version asked for. */
  readonly version: number
  readonly requestId: string
  /** The caller's network address, behind trusted proxies. */
  readonly address: string
  /** Media type of the body, lower case without parameters; empty when there is none. */
  readonly contentType: string
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal
}

type ReplyBody<R> = R extends z.ZodType
  ? { readonly body: z.input<R> }
  : R extends StreamResponse
    ? { readonly body: AsyncIterable<Uint8Array> }
    : R extends BytesResponse
      ? { readonly body: Uint8Array }
      : R extends JsonTextResponse
        ? { readonly body: string }
        : { readonly body?: undefined }

export type ReplyHeaders = Readonly<Record<string, string | readonly string[]>>

/** What a handler returns: one of the declared responses. */
export type Reply<D extends EndpointDeclaration> = {
  [S in keyof D['responses'] & number]: {
    readonly status: S
    readonly headers?: ReplyHeaders
  } & ReplyBody<D['responses'][S]>
}[keyof D['responses'] & number]

export type Handler<D extends EndpointDeclaration> = (input: HandlerInput<D>) => Promise<Reply<D>>
export type Handlers<A extends Api> = { readonly [K in keyof A]: Handler<A[K]> }

type ParsedReplyBody<R> = R extends z.ZodType ? { readonly body: z.output<R> } : ReplyBody<R>
/** What a client gets: the declared response, parsed. Declared errors are thrown as `ApiError`. */
export type ClientReply<D extends EndpointDeclaration> = {
  [S in keyof D['responses'] & number]: {
    readonly status: S
    readonly headers: ReplyHeaders
  } & ParsedReplyBody<D['responses'][S]>
}[keyof D['responses'] & number]

type Part<K extends string, V> = V extends undefined ? unknown : Readonly<Record<K, V>>
/** Our own services give what the handler gets: within a process it is handed over as it is. */
type Given<A extends Auth, S extends z.ZodType> = A extends 'internal' ? z.output<S> : z.input<S>
type GivenOf<A extends Auth, S> = S extends z.ZodType ? Given<A, S> : undefined
type ClientBody<A extends Auth, B> = B extends z.ZodType
  ? Given<A, B>
  : B extends BytesBody
    ? Uint8Array
    : B extends JsonTextBody
      ? string
      : B extends DecodedBody<unknown>
        ? Uint8Array
        : B extends StreamBody
          ? AsyncIterable<Uint8Array>
          : undefined
/** Where everything in it may be left out, so may the query. */
type QueryPart<V> = V extends undefined
  ? unknown
  : Partial<V> extends V
    ? { readonly query?: V }
    : Part<'query', V>
export type ClientInput<D extends EndpointDeclaration> = Part<
  'params',
  GivenOf<D['auth'], Field<D, 'params'>>
> &
  QueryPart<GivenOf<D['auth'], Field<D, 'query'>>> &
  Part<'body', ClientBody<D['auth'], Field<D, 'body'>>> &
  (D['auth'] extends 'user' ? { readonly caller: UserCaller } : unknown) & {
    readonly signal?: AbortSignal
    readonly requestId?: string
  }

export type Client<A extends Api> = {
  readonly [K in keyof A]: (input: ClientInput<A[K]>) => Promise<ClientReply<A[K]>>
}
