import { createRequire } from 'node:module'

import type * as ApiClientModule from '@wireapp/api-client'
import type * as ClientModule from '@wireapp/api-client/lib/client/index.js'
import type * as SocketModule from '@wireapp/api-client/lib/tcp/ReconnectingWebsocket.js'
import type * as WebSocketModule from '@wireapp/api-client/lib/tcp/index.js'
import type * as OtrModule from '@wireapp/protocol-messaging/web/otr.js'

import { eventLog, type EventLog } from './event-log.ts'
import { encodeOtrMessage, type OtrMessage } from './otr-message.ts'
import { newDeviceKeys } from './prekeys.ts'
import type { LiveEvent, WireEvent, WireNotification } from './raw-socket.ts'
import type { QualifiedId, ServerUrls } from './wire-types.ts'

type APIClient = ApiClientModule.APIClient

export interface ApiClientOptions {
  readonly api: ServerUrls
  /** Shown in failures. */
  readonly name?: string
  readonly minVersion?: number
  readonly maxVersion?: number
  /** Wait before a lost socket is opened again; Wire's own is 4000. */
  readonly reconnectDelayMs?: number
}

/**
 * Wire's `APIClient` in a private copy, with the few steps around it that every scenario takes. It
 * does not encrypt: what it sends as ciphertext is any bytes.
 */
export interface FreshApiClient extends AsyncDisposable {
  readonly name: string
  /** The library's own client, for everything that has no shortcut here. */
  readonly api: APIClient
  readonly version: number
  readonly domain: string
  readonly events: EventLog<LiveEvent>
  /** Why the library signed the user out, each time that it did. */
  readonly signOuts: readonly string[]
  readonly user: QualifiedId
  readonly device: string
  registerUser(user: {
    email: string
    password: string
    name: string
    emailCode: string
  }): Promise<QualifiedId>
  login(credentials: { email: string; password: string }): Promise<QualifiedId>
  /** Registers a device, binds the session to it and makes it the one of the socket. */
  registerDevice(options: { password: string; prekeyCount?: number }): Promise<string>
  /** Opens the socket; resolves when it is open. The library opens it again when it is lost. */
  connect(): Promise<void>
  disconnect(): void
  /** Calls `listener` for each event from now on, beside its being logged. */
  onEvent(listener: (event: LiveEvent) => void): void
  receives(matches: (event: WireEvent) => boolean, timeoutMs?: number): Promise<LiveEvent>
  /** Sends what `encodeOtrMessage` makes, through the library. */
  sendOtr(
    conversation: QualifiedId,
    message: Omit<OtrMessage, 'sender'>,
  ): ReturnType<APIClient['api']['conversation']['postOTRMessage']>
}

const DEFAULT_TIMEOUT_MS = 20_000
const require = createRequire(import.meta.url)

/**
 * Loads the library once more, from scratch: its cookie store is static, so that two clients of one
 * copy would share a session.
 */
function loadPrivateCopy() {
  for (const path of Object.keys(require.cache)) {
    if (path.includes('/@wireapp/api-client/')) delete require.cache[path]
  }
  const { APIClient: Client } = require('@wireapp/api-client') as typeof ApiClientModule
  const { ClientClassification, ClientType } =
    require('@wireapp/api-client/lib/client/index.js') as typeof ClientModule
  const { ReconnectingWebsocket } =
    require('@wireapp/api-client/lib/tcp/ReconnectingWebsocket.js') as typeof SocketModule
  const { WebSocketClient } =
    require('@wireapp/api-client/lib/tcp/index.js') as typeof WebSocketModule
  return { Client, ClientClassification, ClientType, ReconnectingWebsocket, WebSocketClient }
}

export async function freshApiClient(options: ApiClientOptions): Promise<FreshApiClient> {
  const { name = 'api client', minVersion = 8, maxVersion = 15, reconnectDelayMs = 100 } = options
  const { Client, ClientClassification, ClientType, ...sockets } = loadPrivateCopy()
  const { ReconnectingWebsocket, WebSocketClient } = sockets
  const { proteus } = require('@wireapp/protocol-messaging/web/otr.js') as typeof OtrModule
  Object.assign(
    (ReconnectingWebsocket as unknown as { RECONNECTING_OPTIONS: object }).RECONNECTING_OPTIONS,
    { minReconnectionDelay: reconnectDelayMs },
  )

  const api = new Client({ urls: { ...options.api, name } })
  const { version, domain } = await api.useVersion(minVersion, maxVersion)
  const events = eventLog<LiveEvent>(name)
  const listeners: ((event: LiveEvent) => void)[] = []
  const signOuts: string[] = []
  api.on(Client.TOPIC.ON_LOGOUT, (error: Error) => void signOuts.push(error.message))
  api.transport.ws.on(WebSocketClient.TOPIC.ON_MESSAGE, (message) => {
    const { id, payload, transient = false } = message as unknown as WireNotification
    for (const event of payload) {
      const live = { notification: id, transient, event }
      events.add(live)
      for (const listener of listeners) listener(live)
    }
  })

  function self(): QualifiedId {
    if (!api.userId || !api.domain) throw new Error(`${name} is not logged in`)
    return { id: api.userId, domain: api.domain }
  }

  return {
    name,
    api,
    version,
    domain,
    events,
    signOuts,
    get user() {
      return self()
    },
    get device() {
      return api.validatedClientId
    },

    async registerUser({ email, password, name: shownName, emailCode }) {
      const user = { email, password, name: shownName, email_code: emailCode, assets: [] }
      await api.register(user, ClientType.PERMANENT)
      return self()
    },

    async login(credentials) {
      await api.login({ ...credentials, clientType: ClientType.PERMANENT })
      return self()
    },

    async registerDevice({ password, prekeyCount = 5 }) {
      const { id } = await api.api.client.postClient({
        ...newDeviceKeys(prekeyCount),
        type: ClientType.PERMANENT,
        class: ClientClassification.DESKTOP,
        cookie: name,
        password,
        capabilities: [],
      })
      if (!api.context) throw new Error(`${name} is not logged in`)
      api.context.clientId = id
      await api.transport.http.associateClientWithSession(id)
      return id
    },

    async connect() {
      const opened = Promise.withResolvers<void>()
      const timer = setTimeout(
        () => opened.reject(new Error(`${name}: no socket within ${DEFAULT_TIMEOUT_MS} ms`)),
        DEFAULT_TIMEOUT_MS,
      )
      api.connect(() => opened.resolve())
      await opened.promise.finally(() => clearTimeout(timer))
    },

    disconnect: () => api.disconnect(),

    onEvent: (listener) => void listeners.push(listener),

    receives: (matches, timeoutMs = DEFAULT_TIMEOUT_MS) =>
      events.take(({ event }) => matches(event), timeoutMs),

    async sendOtr(conversation, message) {
      const encoded = encodeOtrMessage({ ...message, sender: api.validatedClientId })
      return api.api.conversation.postOTRMessage(
        conversation.id,
        conversation.domain,
        proteus.QualifiedNewOtrMessage.decode(encoded),
      )
    },

    async [Symbol.asyncDispose]() {
      api.disconnect()
    },
  }
}
