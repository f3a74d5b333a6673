// One of Wire's clients, unmodified, in a thread of its own. Wire's core keeps its cookie, its send
// queue and its crypto instance in module state, so two clients cannot share a thread.
import { createHash, randomBytes } from 'node:crypto'
import { createRequire, registerHooks } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'

import type * as ApiClientModule from '@wireapp/api-client'
import type * as ClientModule from '@wireapp/api-client/lib/client/index.js'
import type { Connection } from '@wireapp/api-client/lib/connection/index.js'
import type {
  Conversation,
  QualifiedUserClients,
} from '@wireapp/api-client/lib/conversation/index.js'
import type * as QueueModule from '@wireapp/api-client/lib/notification/ConsumableNotification.js'
import type * as SocketModule from '@wireapp/api-client/lib/tcp/ReconnectingWebsocket.js'
import type * as WebSocketModule from '@wireapp/api-client/lib/tcp/index.js'
import type * as TeamModule from '@wireapp/api-client/lib/team/index.js'
import type * as CoreModule from '@wireapp/core'
import type * as MessagingModule from '@wireapp/protocol-messaging'
import type * as StoreModule from '@wireapp/store-engine'

import type {
  ConnectionSummary,
  ConversationSummary,
  CoreCalls,
  CoreEvent,
  CoreFailure,
  CoreSettings,
  EventSource,
  FileReference,
  FromWorker,
  SentMessage,
  ToWorker,
} from './core-calls.ts'
import type { QualifiedId } from './wire-types.ts'

const parent = parentPort
if (!parent) throw new Error('This file is the body of a worker thread; start it as one')
const settings = workerData as CoreSettings

type Account = CoreModule.Account
type ApiClient = ApiClientModule.APIClient
type GenericMessage = MessagingModule.GenericMessage
type RegisteredClient = ClientModule.RegisteredClient

const require = createRequire(import.meta.url)
prepareGlobals()
const { APIClient } = require('@wireapp/api-client') as typeof ApiClientModule
const { ClientType } = require('@wireapp/api-client/lib/client/index.js') as typeof ClientModule
const { ReconnectingWebsocket } =
  require('@wireapp/api-client/lib/tcp/ReconnectingWebsocket.js') as typeof SocketModule
const { CONVERSATION_PROTOCOL } =
  require('@wireapp/api-client/lib/team/index.js') as typeof TeamModule
const { ConsumableEvent } =
  require('@wireapp/api-client/lib/notification/ConsumableNotification.js') as typeof QueueModule
const { WebSocketClient } =
  require('@wireapp/api-client/lib/tcp/index.js') as typeof WebSocketModule
const core = require('@wireapp/core') as typeof CoreModule
const { MemoryEngine } = require('@wireapp/store-engine') as typeof StoreModule
const { Confirmation, LegalHoldStatus } =
  require('@wireapp/protocol-messaging') as typeof MessagingModule

/** What Wire's code expects of its surroundings: a browser's stores, a crypto package it can find. */
function prepareGlobals(): void {
  require('fake-indexeddb/auto')
  registerHooks({
    resolve(specifier, context, next) {
      // The package's main points to a file that is not published.
      const isCrypto = specifier === '@wireapp/core-crypto'
      return next(isCrypto ? '@wireapp/core-crypto/src/corecrypto.js' : specifier, context)
    },
  })
  const stored = new Map<string, string>()
  const localStorage = {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
    clear: () => stored.clear(),
    key: (index: number) => [...stored.keys()][index] ?? null,
    get length() {
      return stored.size
    },
  }
  Object.defineProperty(globalThis, 'localStorage', { value: localStorage })
}

function tell(message: FromWorker): void {
  parent?.postMessage(message, [])
}

function report(event: CoreEvent): void {
  tell({ event })
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function summarizeConnection(connection: Connection): ConnectionSummary {
  const { qualified_to: user, status, qualified_conversation: conversation } = connection
  if (!user) throw new Error('The server sent a connection without qualified_to')
  return { user, status, ...(conversation && { conversation }) }
}

function summarizeConversation(conversation: Conversation): ConversationSummary {
  const { qualified_id: id, type, name, members } = conversation
  const others = members.others.flatMap(({ qualified_id: other }) => (other ? [other] : []))
  return { conversation: id, type, others, ...(name && { name }) }
}

function describeFile(message: GenericMessage): FileReference | undefined {
  const { original, uploaded } = message.asset ?? {}
  if (!uploaded?.assetId || !uploaded.assetDomain) return undefined
  return {
    key: uploaded.assetId,
    domain: uploaded.assetDomain,
    ...(uploaded.assetToken && { token: uploaded.assetToken }),
    otrKey: base64(uploaded.otrKey),
    sha256: base64(uploaded.sha256),
    name: original?.name ?? '',
    sizeBytes: Number(original?.size ?? 0),
    mimeType: original?.mimeType ?? '',
  }
}

function describeEvent(payload: CoreModule.ProcessedEventPayload, source: EventSource): CoreEvent {
  const event = JSON.parse(JSON.stringify(payload.event)) as Record<string, unknown>
  const conversation = event['qualified_conversation'] as QualifiedId | undefined
  const from = event['qualified_from'] as QualifiedId | undefined
  const fromServer = {
    source,
    type: String(event['type']),
    event,
    ...(conversation && { conversation }),
    ...(from && { from }),
    ...(typeof event['time'] === 'string' && { time: event['time'] }),
  }
  if (payload.decryptionError) {
    const { message, code } = payload.decryptionError
    return { ...fromServer, kind: 'undecryptable', reason: `${message} (code ${code})` }
  }
  const message = payload.decryptedData
  if (!message) return { ...fromServer, kind: 'event' }

  const { sender } = event['data'] as { sender: string }
  const decrypted = { ...fromServer, messageId: message.messageId, senderDevice: sender }
  const { text, asset, confirmation } = message
  if (text) {
    const expectsReadConfirmation = text.expectsReadConfirmation ?? false
    return { ...decrypted, kind: 'text', text: text.content, expectsReadConfirmation }
  }
  if (asset) {
    const file = describeFile(message)
    const expectsReadConfirmation = asset.expectsReadConfirmation ?? false
    return { ...decrypted, kind: 'asset', expectsReadConfirmation, ...(file && { file }) }
  }
  if (confirmation) {
    const confirms = confirmation.type === Confirmation.Type.READ ? 'read' : 'delivered'
    const messageIds = [confirmation.firstMessageId, ...(confirmation.moreMessageIds ?? [])]
    return { ...decrypted, kind: 'confirmation', confirms, messageIds }
  }
  return { ...decrypted, kind: 'other-message', content: message.content ?? 'unknown' }
}

function describeFailure(thrown: unknown): CoreFailure {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown) }
  const { name, message, stack } = thrown
  const { label, code, response } = thrown as {
    label?: unknown
    code?: unknown
    response?: { status?: number; data?: { label?: unknown; code?: unknown; message?: string } }
  }
  const shownLabel = label ?? response?.data?.label
  const shownCode = typeof code === 'number' ? code : response?.data?.code
  return {
    name,
    message: response?.data?.message ?? message,
    ...(typeof shownLabel === 'string' && { label: shownLabel }),
    ...(typeof shownCode === 'number' && { code: shownCode }),
    ...(response?.status !== undefined && { status: response.status }),
    ...(stack !== undefined && { stack }),
  }
}

const sources: Record<string, EventSource> = {
  WEBSOCKET: 'websocket',
  NOTIFICATION_STREAM: 'catch-up',
  LOCAL: 'local',
}

function coreCalls(account: Account, apiClient: ApiClient) {
  let registered: RegisteredClient | undefined
  let stop: (() => void) | undefined
  let isLegacy = true
  const knownDevices = new Map<string, QualifiedUserClients>()

  function services(): NonNullable<Account['service']> {
    if (!account.service) throw new Error('Register or log in first')
    return account.service
  }

  function self(): QualifiedId {
    const { userId, domain } = apiClient
    if (!userId || !domain) throw new Error('Register or log in first')
    return { id: userId, domain }
  }

  /** The devices of a conversation as known here: like the apps, until the server disagrees. */
  async function devicesOf(conversation: QualifiedId): Promise<QualifiedUserClients> {
    const known = knownDevices.get(conversation.id)
    if (known) return known
    const devices = await services().conversation.fetchAllParticipantsClients(conversation)
    const { id, domain } = self()
    const own = devices[domain]?.[id]
    if (own) devices[domain] = { ...devices[domain], [id]: own.filter((d) => d !== registered?.id) }
    knownDevices.set(conversation.id, devices)
    return devices
  }

  async function send(conversation: QualifiedId, payload: GenericMessage): Promise<SentMessage> {
    let hadMismatch = false
    const result = await services().conversation.send({
      conversationId: conversation,
      payload,
      protocol: CONVERSATION_PROTOCOL.PROTEUS,
      userIds: await devicesOf(conversation),
      onClientMismatch: () => {
        hadMismatch = true
        knownDevices.delete(conversation.id)
      },
    })
    return {
      messageId: result.id,
      sentAt: result.sentAt,
      state: result.state,
      hadMismatch,
    }
  }

  return {
    async registerUser({ email, password, name, emailCode }) {
      const user = { email, password, name, email_code: emailCode, assets: [] }
      await account.register(user, ClientType.PERMANENT)
      return { user: self() }
    },

    async login({ email, password }) {
      await account.login({ email, password, clientType: ClientType.PERMANENT })
      return { user: self() }
    },

    async registerClient({ password, useLegacy = true }) {
      isLegacy = useLegacy
      const loginData = { password, clientType: ClientType.PERMANENT }
      registered = await account.registerClient(loginData, useLegacy)
      return { id: registered.id, capabilities: registered.capabilities ?? [] }
    },

    async initClient() {
      if (!registered) throw new Error('Register a device first')
      await account.initClient(registered)
    },

    async listen({ useLegacy = isLegacy, timeoutMs = 10_000 } = {}) {
      const live = Promise.withResolvers<void>()
      const timer = setTimeout(
        () => live.reject(new Error(`Not live after ${timeoutMs} ms`)),
        timeoutMs,
      )
      const open = async (): Promise<void> => {
        stop = await account.listen({
          useLegacy,
          onEvent: async (payload, source) =>
            report(describeEvent(payload, sources[source] ?? 'local')),
          onConnectionStateChanged: (state) => {
            report({ kind: 'connection', state })
            if (state === core.ConnectionState.LIVE) live.resolve()
          },
          onMissedNotifications: (since) => report({ kind: 'missed', since }),
        })
        apiClient.transport.ws.on(WebSocketClient.TOPIC.ON_MESSAGE, (message) => {
          if ('type' in message && message.type === ConsumableEvent.MISSED) void reload()
        })
      }
      // Told that its queue lost something, core reloads the page, and acknowledges when it is told
      // so again. There is no page here: opening the socket anew is what a reload comes to.
      let hasReloaded = false
      const reload = async (): Promise<void> => {
        hasReloaded = !hasReloaded
        if (!hasReloaded) return
        report({ kind: 'missed', since: 'the event queue' })
        stop?.()
        await open()
      }
      await open()
      await live.promise.finally(() => clearTimeout(timer))
    },

    async stopListening() {
      stop?.()
      stop = undefined
    },

    async logout() {
      stop?.()
      stop = undefined
      registered = undefined
      await account.logout()
    },

    async setHandle(handle) {
      await services().self.setUsername(handle)
    },

    async search(query) {
      const { response } = await apiClient.api.user.getSearchContacts(query)
      const { documents } = await response
      return documents.map(({ qualified_id, id, name, handle }) => ({
        user: qualified_id ?? { id, domain: self().domain },
        name,
        handle,
      }))
    },

    async searchAndConnect(handle) {
      const found = await this.search(handle)
      const hit = found.find((document) => document.handle === handle)
      if (!hit) throw new Error(`Nobody with the handle ${handle} among ${found.length} found`)
      return this.connect(hit.user)
    },

    async connect(user) {
      return summarizeConnection(await services().connection.createConnection(user))
    },

    async acceptConnection(user) {
      return summarizeConnection(await services().connection.acceptConnection(user))
    },

    async connections() {
      const connections = await services().connection.getConnections()
      return connections.map(summarizeConnection)
    },

    async conversations() {
      const { found = [] } = await services().conversation.getConversations()
      return found.map(summarizeConversation)
    },

    async createGroup(name, members) {
      const { conversation, failedToAdd = [] } =
        await services().conversation.createProteusConversation({
          name,
          qualified_users: [...members],
          receipt_mode: null,
        })
      if (failedToAdd.length > 0) throw new Error(`Not added: ${JSON.stringify(failedToAdd)}`)
      return summarizeConversation(conversation)
    },

    async addMembers(conversation, members) {
      const { failedToAdd = [] } = await services().conversation.addUsersToProteusConversation({
        conversationId: conversation,
        qualifiedUsers: [...members],
      })
      if (failedToAdd.length > 0) throw new Error(`Not added: ${JSON.stringify(failedToAdd)}`)
    },

    async leave(conversation) {
      await services().conversation.removeUserFromConversation(conversation, self())
    },

    async sendText(conversation, text, { expectsReadConfirmation = false, messageId } = {}) {
      const content = { text, expectsReadConfirmation, legalHoldStatus: LegalHoldStatus.DISABLED }
      return send(conversation, core.MessageBuilder.buildTextMessage(content, messageId))
    },

    async sendConfirmation(conversation, messageIds, type) {
      const [firstMessageId, ...moreMessageIds] = messageIds
      if (firstMessageId === undefined) throw new Error('A confirmation names at least one message')
      const { READ, DELIVERED } = Confirmation.Type
      const message = core.MessageBuilder.buildConfirmationMessage({
        type: type === 'read' ? READ : DELIVERED,
        firstMessageId,
        moreMessageIds,
      })
      return send(conversation, message)
    },

    async sendTyping(conversation, status) {
      const { conversation: service } = services()
      if (status === 'started') await service.sendTypingStart(conversation)
      else await service.sendTypingStop(conversation)
    },

    async uploadFile(
      conversation,
      { sizeBytes, name = 'file.bin', expectsReadConfirmation = false },
    ) {
      // A pooled Buffer would make the library hash the whole pool.
      const plain = new Uint8Array(randomBytes(sizeBytes))
      const upload = await services().asset.uploadAsset(plain, { public: false })
      const asset = await upload.response
      const mimeType = 'application/octet-stream'
      const message = core.MessageBuilder.buildFileDataMessage({
        asset,
        file: { data: Buffer.alloc(0) },
        metaData: { name, type: mimeType, length: sizeBytes },
        expectsReadConfirmation,
        legalHoldStatus: LegalHoldStatus.DISABLED,
      })
      const sent = await send(conversation, message)
      const file = describeFile(message)
      if (!file) throw new Error('The server answered the upload without key or domain')
      return { ...sent, file, plainSha256: sha256Hex(plain) }
    },

    async downloadFile({ key, domain, token, otrKey, sha256 }) {
      const { response } = services().asset.downloadAsset(
        { assetKey: key, assetDomain: domain, ...(token !== undefined && { assetToken: token }) },
        Buffer.from(otrKey, 'base64'),
        Buffer.from(sha256, 'base64'),
      )
      const plain = new Uint8Array((await response).buffer)
      return { sizeBytes: plain.length, plainSha256: sha256Hex(plain) }
    },

    async remainingPrekeys() {
      return apiClient.api.client.getClientPreKeys(apiClient.validatedClientId)
    },
  } satisfies CoreCalls
}

async function start(): Promise<void> {
  const { api, gzip, minVersion, maxVersion, prekeyCount, reconnectDelayMs } = settings
  Object.assign(
    (ReconnectingWebsocket as unknown as { RECONNECTING_OPTIONS: object }).RECONNECTING_OPTIONS,
    { minReconnectionDelay: reconnectDelayMs },
  )
  const apiClient = new APIClient({ urls: { ...api, name: settings.name } })
  apiClient.transport.http.toggleGzip(gzip)
  const onLogout = APIClient.TOPIC.ON_LOGOUT
  apiClient.on(onLogout, (error: Error) => report({ kind: 'signed-out', reason: error.message }))

  const account = new core.Account(apiClient, {
    nbPrekeys: prekeyCount,
    createStore: async (storeName) => {
      const engine = new MemoryEngine()
      await engine.init(storeName)
      return engine
    },
    // core-crypto looks for its WASM file beside its own script.
    coreCryptoConfig: { enabled: true, wasmFilePath: 'autogenerated/' },
  })
  const { version, domain } = await account.useAPIVersion(minVersion, maxVersion)
  const calls = coreCalls(account, apiClient)

  async function answer({ id, call, args }: ToWorker): Promise<void> {
    try {
      const run = calls[call === 'close' ? 'stopListening' : call] as (
        ...args: unknown[]
      ) => unknown
      tell({ id, result: await Reflect.apply(run, calls, args) })
    } catch (error) {
      tell({ id, failure: describeFailure(error) })
    }
  }
  parent?.on('message', (message: ToWorker) => void answer(message))
  tell({ ready: { version, domain } })
}

process.on('unhandledRejection', (reason) => {
  report({ kind: 'defect', reason: describeFailure(reason).stack ?? String(reason) })
})

try {
  await start()
} catch (error) {
  tell({ startFailure: describeFailure(error) })
}
