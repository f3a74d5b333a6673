import { gzipSync } from 'node:zlib'

import { assetBody, type AssetUpload } from './asset-body.ts'
import { cookieJar, type CookieJar } from './cookie-jar.ts'
import { encodeOtrMessage, type OtrMessage } from './otr-message.ts'
import { newDeviceKeys, type DeviceKeys } from './prekeys.ts'
import {
  openAwaitSocket,
  openEventsSocket,
  type AwaitSocket,
  type EventsMessage,
  type EventsSocket,
  type LiveEvent,
  type WireNotification,
} from './raw-socket.ts'
import { serverUrls, type QualifiedId } from './wire-types.ts'

export interface RawRequest {
  readonly json?: unknown
  readonly body?: Uint8Array | string
  readonly contentType?: string
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  /** The Bearer token: the client's own by default, none with `null`. */
  readonly token?: string | null
  /** The API version: the client's by default, no prefix with `null`. */
  readonly version?: number | null
  /** Compress the body, as Wire's apps do with JSON. */
  readonly gzip?: boolean
  /** Whether cookies go along and are kept; where they match the path, by default. */
  readonly cookies?: boolean
  /** Statuses that are fine; any other one rejects with `UnexpectedReply`. */
  readonly expect?: number | readonly number[]
  readonly signal?: AbortSignal
}

export interface RawReply<T = unknown> {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array
  readonly text: string
  /** The parsed body; `undefined` when it is not JSON. `T` is what the caller believes it to be. */
  readonly json: T
}

/** Wire's error body. */
export interface ErrorBody {
  readonly code: number
  readonly label: string
  readonly message: string
}

export class UnexpectedReply extends Error {
  readonly reply: RawReply

  constructor(request: string, expected: readonly number[], reply: RawReply) {
    const wanted = expected.join(' or ')
    super(`${request}: ${reply.status} instead of ${wanted}: ${reply.text.slice(0, 500)}`)
    this.name = 'UnexpectedReply'
    this.reply = reply
  }
}

export interface SelfUser {
  readonly id: string
  readonly qualified_id: QualifiedId
  readonly name: string
  readonly email?: string
  readonly handle?: string
  readonly [field: string]: unknown
}

export interface AccessToken {
  readonly access_token: string
  readonly expires_in: number
  readonly token_type: string
  readonly user: string
}

export interface MessageOutcome {
  readonly time: string
  readonly missing: DeviceMap
  readonly redundant: DeviceMap
  readonly deleted: DeviceMap
  readonly failed_to_send: DeviceMap
  readonly failed_to_confirm_clients: DeviceMap
}

/** Device ids by domain and user. */
export type DeviceMap = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>

export interface DeviceOptions {
  readonly keys?: DeviceKeys
  readonly prekeyCount?: number
  readonly type?: 'permanent' | 'temporary'
  readonly password?: string
  readonly label?: string
  readonly cookieLabel?: string
  readonly capabilities?: readonly string[]
  /** Whether the session is bound to the new device, as apps do right after registering it. */
  readonly isBound?: boolean
}

export interface UploadedAsset {
  readonly key: string
  readonly domain: string
  readonly token?: string
  readonly expires?: string
}

/**
 * A client that shows everything: requests as they are, replies as they come, a cookie jar that
 * obeys paths. It does not encrypt; what it sends as ciphertext is any bytes. Light enough for
 * thousands in a process.
 */
export interface RawClient {
  readonly name: string
  readonly jar: CookieJar
  readonly version: number
  /** Set by registering or logging in; tests may set what they like. */
  user: QualifiedId | undefined
  token: string | undefined
  /** The device that was registered last, hex. */
  device: string | undefined

  request<T = unknown>(method: string, path: string, request?: RawRequest): Promise<RawReply<T>>

  sendActivationCode(email: string): Promise<RawReply>
  /** Registers with the mailed code and takes an access token. */
  register(user: { email: string; password: string; name: string; code: string }): Promise<SelfUser>
  login(
    credentials: { email?: string; handle?: string; password: string; label?: string },
    options?: { isPersistent?: boolean },
  ): Promise<AccessToken>
  /** Takes a new access token for the cookie, binding the session to `device` if given. */
  access(options?: { device?: string; withToken?: boolean }): Promise<AccessToken>
  logout(): Promise<void>

  /** Registers a device with fresh keys and makes it the client's; resolves with its id. */
  registerDevice(options?: DeviceOptions): Promise<string>
  devicesOf(users: readonly QualifiedId[]): Promise<DeviceMap>

  /** `POST …/proteus/messages`; the status is the caller's to judge. */
  sendOtr(
    conversation: QualifiedId,
    message: Omit<OtrMessage, 'sender'> & { sender?: string },
    request?: RawRequest,
  ): Promise<RawReply<MessageOutcome>>
  uploadAsset(upload: AssetUpload): Promise<UploadedAsset>
  downloadAsset(asset: UploadedAsset): Promise<RawReply>

  /** All notifications after `since`, page by page. */
  notifications(options?: {
    since?: string
    size?: number
    device?: string
  }): Promise<WireNotification[]>
  openAwait(options?: {
    device?: string | null
    token?: string
    onEvent?: (event: LiveEvent) => void
    onNotification?: (notification: WireNotification) => void
  }): Promise<AwaitSocket>
  openEvents(options?: {
    device?: string | null
    token?: string
    syncMarker?: string
    isAcknowledging?: boolean
    onMessage?: (message: EventsMessage) => void
  }): Promise<EventsSocket>
}

export interface RawClientOptions {
  /** The API version of all paths that carry one. */
  readonly version?: number
  /** Where sockets go, when not to the same port. */
  readonly ws?: string
  /** Shown in failures. */
  readonly name?: string
}

/** Paths that Wire's clients call without a version. */
const UNVERSIONED = /^\/(access|api-version|await|i)(\/|$|\?)/

export function rawClient(baseUrl: string, options: RawClientOptions = {}): RawClient {
  const urls = serverUrls(baseUrl)
  const ws = options.ws === undefined ? urls.ws : serverUrls(options.ws).ws
  const { version = 15, name = 'raw client' } = options
  const jar = cookieJar()

  function pathOf(path: string, wanted: number | null = version): string {
    return wanted === null || UNVERSIONED.test(path) ? path : `/v${wanted}${path}`
  }

  function socketUrl(path: string, query: Record<string, string | undefined>): string {
    const url = new URL(`${ws}${path}`)
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(key, value)
    }
    return url.href
  }

  function requireToken(): string {
    if (client.token === undefined) throw new Error(`${name} has no access token yet`)
    return client.token
  }

  function requireDevice(): string {
    if (client.device === undefined) throw new Error(`${name} has no device yet`)
    return client.device
  }

  function adopt(token: AccessToken): AccessToken {
    client.token = token.access_token
    return token
  }

  const client: RawClient = {
    name,
    jar,
    version,
    user: undefined,
    token: undefined,
    device: undefined,

    async request<T>(method: string, path: string, request: RawRequest = {}) {
      const { json, gzip = false, cookies = true, expect, signal } = request
      const url = new URL(urls.rest + pathOf(path, request.version))
      for (const [key, value] of Object.entries(request.query ?? {})) {
        if (value !== undefined) url.searchParams.set(key, String(value))
      }
      const headers = new Headers()
      const plain = json === undefined ? request.body : JSON.stringify(json)
      const contentType = request.contentType ?? (json === undefined ? undefined : JSON_TYPE)
      if (contentType !== undefined) headers.set('content-type', contentType)
      if (gzip) headers.set('content-encoding', 'gzip')
      const token = request.token === undefined ? client.token : request.token
      if (token) headers.set('authorization', `Bearer ${token}`)
      const cookie = cookies ? jar.headerFor(url.pathname) : undefined
      if (cookie !== undefined) headers.set('cookie', cookie)
      for (const [key, value] of Object.entries(request.headers ?? {})) headers.set(key, value)

      const response = await fetch(url, {
        method,
        headers,
        redirect: 'manual',
        ...(plain !== undefined && { body: gzip ? gzipSync(plain) : Buffer.from(plain) }),
        ...(signal && { signal }),
      })
      if (cookies) jar.store(response.headers)
      const reply = await readReply<T>(response)
      const wanted = typeof expect === 'number' ? [expect] : expect
      if (wanted && !wanted.includes(reply.status)) {
        throw new UnexpectedReply(`${name}: ${method} ${url.pathname}`, wanted, reply)
      }
      return reply
    },

    sendActivationCode: (email) =>
      client.request('POST', '/activate/send', { json: { email }, token: null, expect: 200 }),

    async register({ email, password, name: shownName, code }) {
      const json = { email, password, name: shownName, email_code: code }
      const request: RawRequest = { json, token: null, expect: 201 }
      const reply = await client.request<SelfUser>('POST', '/register', request)
      client.user = reply.json.qualified_id
      client.token = undefined
      await client.access()
      return reply.json
    },

    async login(credentials, { isPersistent = true } = {}) {
      const query = { persist: isPersistent }
      const request: RawRequest = { json: credentials, query, token: null, expect: 200 }
      const reply = await client.request<AccessToken>('POST', '/login', request)
      adopt(reply.json)
      const self = await client.request<SelfUser>('GET', '/self', { expect: 200 })
      client.user = self.json.qualified_id
      return reply.json
    },

    async access({ device, withToken = true } = {}) {
      const reply = await client.request<AccessToken>('POST', '/access', {
        query: { client_id: device },
        ...(!withToken && { token: null }),
        expect: 200,
      })
      return adopt(reply.json)
    },

    async logout() {
      await client.request('POST', '/access/logout', { expect: 200 })
      client.token = undefined
    },

    async registerDevice(deviceOptions = {}) {
      const { prekeyCount = 5, keys = newDeviceKeys(prekeyCount), isBound = true } = deviceOptions
      const { type = 'permanent', password, label, cookieLabel, capabilities } = deviceOptions
      const reply = await client.request<{ id: string }>('POST', '/clients', {
        json: {
          type,
          ...keys,
          ...(password !== undefined && { password }),
          ...(label !== undefined && { label }),
          ...(cookieLabel !== undefined && { cookie: cookieLabel }),
          ...(capabilities && { capabilities }),
        },
        expect: 201,
      })
      client.device = reply.json.id
      if (isBound) await client.access({ device: reply.json.id })
      return reply.json.id
    },

    async devicesOf(users) {
      const reply = await client.request<{
        qualified_user_map: Record<string, Record<string, { id: string }[]>>
      }>('POST', '/users/list-clients', { json: { qualified_users: users }, expect: 200 })
      return Object.fromEntries(
        Object.entries(reply.json.qualified_user_map).map(([domain, byUser]) => [
          domain,
          Object.fromEntries(
            Object.entries(byUser).map(([user, devices]) => [user, devices.map(({ id }) => id)]),
          ),
        ]),
      )
    },

    sendOtr: ({ domain, id }, message, request = {}) =>
      client.request('POST', `/conversations/${domain}/${id}/proteus/messages`, {
        body: encodeOtrMessage({ ...message, sender: message.sender ?? requireDevice() }),
        contentType: 'application/x-protobuf',
        ...request,
      }),

    async uploadAsset(upload) {
      const { contentType, body } = assetBody(upload)
      const request: RawRequest = { contentType, body, expect: 201 }
      return (await client.request<UploadedAsset>('POST', '/assets', request)).json
    },

    downloadAsset: ({ domain, key, token }) =>
      client.request('GET', `/assets/${domain}/${key}`, { query: { asset_token: token } }),

    async notifications({ since, size, device = client.device } = {}) {
      const found: WireNotification[] = []
      for (let after = since; ; after = found.at(-1)?.id) {
        const { json } = await client.request<{
          notifications: WireNotification[]
          has_more: boolean
        }>('GET', '/notifications', {
          query: { since: after, size, client: device },
          expect: 200,
        })
        found.push(...json.notifications)
        if (!json.has_more) return found
        if (json.notifications.length === 0) throw new Error('An empty page that is not the last')
      }
    },

    openAwait({ device = client.device ?? null, token = requireToken(), ...listeners } = {}) {
      const query = { access_token: token, client: device ?? undefined }
      return openAwaitSocket(socketUrl('/await', query), {
        name: `${name}'s socket`,
        ...listeners,
      })
    },

    openEvents({ device = client.device ?? null, syncMarker, ...rest } = {}) {
      const { token = requireToken(), ...listener } = rest
      const query = { access_token: token, client: device ?? undefined, sync_marker: syncMarker }
      const url = socketUrl(`/v${version}/events`, query)
      return openEventsSocket(url, { name: `${name}'s event queue`, ...listener })
    },
  }
  return client
}

const JSON_TYPE = 'application/json;charset=UTF-8'

async function readReply<T>(response: Response): Promise<RawReply<T>> {
  const bytes = new Uint8Array(await response.arrayBuffer())
  const text = Buffer.from(bytes).toString('utf8')
  const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    text,
    json: (isJson && text !== '' ? JSON.parse(text) : undefined) as T,
  }
}
