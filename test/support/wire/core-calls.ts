// What the parent thread may ask of a core client and what it hears back. Everything here crosses a
// thread boundary, so it is plain data; bytes that the client shows are base64 text.
import type { QualifiedId, ServerUrls } from './wire-types.ts'

/** What the worker is started with. */
export interface CoreSettings {
  readonly name: string
  readonly api: ServerUrls
  readonly minVersion: number
  readonly maxVersion: number
  /** Whether JSON bodies are sent compressed, as Wire's apps do. */
  readonly gzip: boolean
  /** How many prekeys a new device uploads. */
  readonly prekeyCount: number
  /** Wait before a lost socket is opened again; Wire's own is 4000. */
  readonly reconnectDelayMs: number
}

export interface Registration {
  readonly email: string
  readonly password: string
  readonly name: string
  /** The code that was mailed to the address. */
  readonly emailCode: string
}

export interface Credentials {
  readonly email: string
  readonly password: string
}

/** What a sender learns: the message's id and the server's time for it. */
export interface SentMessage {
  readonly messageId: string
  readonly sentAt: string
  readonly state: string
  /** Whether the server knew other devices than this client did; they were then made to agree. */
  readonly hadMismatch: boolean
}

/** What a file message carries: where the ciphertext lies and how to open it. */
export interface FileReference {
  readonly key: string
  readonly domain: string
  readonly token?: string
  readonly otrKey: string
  readonly sha256: string
  readonly name: string
  readonly sizeBytes: number
  readonly mimeType: string
}

export interface SentFile extends SentMessage {
  readonly file: FileReference
  /** SHA-256 of the plain bytes, hex. */
  readonly plainSha256: string
}

export interface ReceivedFile {
  readonly sizeBytes: number
  /** SHA-256 of the decrypted bytes, hex. */
  readonly plainSha256: string
}

export interface ConnectionSummary {
  readonly user: QualifiedId
  readonly status: string
  readonly conversation?: QualifiedId
}

export interface ConversationSummary {
  readonly conversation: QualifiedId
  readonly type: number
  readonly name?: string
  /** Without the caller. */
  readonly others: QualifiedId[]
}

export interface Device {
  readonly id: string
  readonly capabilities: readonly string[]
}

/** The calls of a core client; each runs in its worker, through Wire's own code. */
export interface CoreCalls {
  /** Creates the account and leaves the client logged in to it. */
  registerUser(registration: Registration): Promise<{ user: QualifiedId }>
  login(credentials: Credentials): Promise<{ user: QualifiedId }>
  /** Makes keys and registers them as a new device of the user who is logged in. */
  registerClient(options: { password: string; useLegacy?: boolean }): Promise<Device>
  /** Binds the session to the device and loads its keys. Comes after `registerClient`. */
  initClient(): Promise<void>
  /** Reads what was missed and stays connected; resolves once the client is live. */
  listen(options?: { useLegacy?: boolean; timeoutMs?: number }): Promise<void>
  /** Closes the socket as an app that goes to sleep does; `listen` opens it again. */
  stopListening(): Promise<void>
  logout(): Promise<void>

  setHandle(handle: string): Promise<void>
  /** Finds a user by handle or name, as the search page does. */
  search(query: string): Promise<{ user: QualifiedId; name: string; handle: string | undefined }[]>
  /** Finds a user by handle and asks them for a connection. */
  searchAndConnect(handle: string): Promise<ConnectionSummary>
  connect(user: QualifiedId): Promise<ConnectionSummary>
  acceptConnection(user: QualifiedId): Promise<ConnectionSummary>
  connections(): Promise<ConnectionSummary[]>

  conversations(): Promise<ConversationSummary[]>
  createGroup(name: string, members: readonly QualifiedId[]): Promise<ConversationSummary>
  addMembers(conversation: QualifiedId, members: readonly QualifiedId[]): Promise<void>
  leave(conversation: QualifiedId): Promise<void>

  sendText(
    conversation: QualifiedId,
    text: string,
    options?: { expectsReadConfirmation?: boolean; messageId?: string },
  ): Promise<SentMessage>
  sendConfirmation(
    conversation: QualifiedId,
    messageIds: readonly string[],
    type: 'delivered' | 'read',
  ): Promise<SentMessage>
  sendTyping(conversation: QualifiedId, status: 'started' | 'stopped'): Promise<void>
  /** Encrypts random bytes, uploads the ciphertext privately and sends the message naming it. */
  uploadFile(
    conversation: QualifiedId,
    options: { sizeBytes: number; name?: string; expectsReadConfirmation?: boolean },
  ): Promise<SentFile>
  downloadFile(file: FileReference): Promise<ReceivedFile>
  /** Ids of the prekeys that the server still has for this device. */
  remainingPrekeys(): Promise<number[]>
}

/** Whether an event came over the socket or out of the catch-up. */
export type EventSource = 'websocket' | 'catch-up' | 'local'

interface FromServer {
  readonly source: EventSource
  /** The backend's type, such as `conversation.otr-message-add`. */
  readonly type: string
  readonly conversation?: QualifiedId
  readonly from?: QualifiedId
  readonly time?: string
  /** The event as the server sent it. */
  readonly event: Readonly<Record<string, unknown>>
}

interface Decrypted extends FromServer {
  readonly messageId: string
  readonly senderDevice: string
}

/** What a core client reports, decrypted. */
export type CoreEvent =
  | (Decrypted & {
      readonly kind: 'text'
      readonly text: string
      readonly expectsReadConfirmation: boolean
    })
  | (Decrypted & {
      readonly kind: 'asset'
      readonly file?: FileReference
      readonly expectsReadConfirmation: boolean
    })
  | (Decrypted & {
      readonly kind: 'confirmation'
      readonly confirms: 'delivered' | 'read'
      readonly messageIds: readonly string[]
    })
  /** A message of another content, such as `knock`. */
  | (Decrypted & { readonly kind: 'other-message'; readonly content: string })
  | (FromServer & { readonly kind: 'undecryptable'; readonly reason: string })
  /** Anything that is not a message. */
  | (FromServer & { readonly kind: 'event' })
  /** `closed`, `connecting`, `processing_notifications` or `live`. */
  | { readonly kind: 'connection'; readonly state: string }
  /** The server no longer had what came after this notification, or all of an event queue. */
  | { readonly kind: 'missed'; readonly since: string }
  /** The client was signed out by an answer of the server. */
  | { readonly kind: 'signed-out'; readonly reason: string }
  /** The client's own code failed outside of any call. */
  | { readonly kind: 'defect'; readonly reason: string }

/** A failed call, reduced to what may be asserted. */
export interface CoreFailure {
  readonly name: string
  readonly message: string
  /** Of a backend error: its label and code. */
  readonly label?: string
  readonly code?: number
  /** HTTP status, when the library passed the answer on. */
  readonly status?: number
  readonly stack?: string
}

export type ToWorker =
  | { readonly id: number; readonly call: keyof CoreCalls; readonly args: readonly unknown[] }
  | { readonly id: number; readonly call: 'close'; readonly args: readonly [] }

export type FromWorker =
  | { readonly ready: { readonly version: number; readonly domain: string } }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: CoreFailure }
  | { readonly startFailure: CoreFailure }
  | { readonly event: CoreEvent }
