import { WebSocket } from 'ws'

import { eventLog, type EventLog } from './event-log.ts'
import type { QualifiedId } from './wire-types.ts'

/** An event as the server sent it; which fields there are depends on its type. */
export interface WireEvent {
  readonly type: string
  readonly conversation?: string
  readonly qualified_conversation?: QualifiedId
  readonly from?: string
  readonly qualified_from?: QualifiedId
  readonly time?: string
  readonly data?: unknown
  readonly [field: string]: unknown
}

export interface WireNotification {
  readonly id: string
  readonly payload: readonly WireEvent[]
  readonly transient?: boolean
}

/** One event out of a notification, as it came over a socket. */
export interface LiveEvent {
  readonly notification: string
  readonly transient: boolean
  readonly event: WireEvent
}

export interface SocketEnd {
  readonly code: number
  readonly reason: string
}

interface OpenSocket extends AsyncDisposable {
  /** What was wrong with frames: text instead of binary, bytes above 0x7f, no JSON. */
  readonly faults: readonly string[]
  readonly closed: Promise<SocketEnd>
  /** Bytes as they are, for what a well-behaved client would not send. */
  sendFrame(frame: string | Uint8Array): void
  /** Stops reading, as a client does whose network is stuck; the kernel's buffers fill up. */
  pause(): void
  resume(): void
  close(code?: number): Promise<SocketEnd>
  /** Ends the connection without a word, as a lost network does. */
  terminate(): void
}

export interface AwaitSocket extends OpenSocket {
  readonly events: EventLog<LiveEvent>
  receives(matches: (event: WireEvent) => boolean, timeoutMs?: number): Promise<LiveEvent>
  /** The application's own ping; resolves on the answer. */
  ping(timeoutMs?: number): Promise<void>
}

/** What `/events` sends (Wire protocol notes §11.4). */
export type EventsMessage =
  | {
      readonly type: 'event'
      readonly data: { readonly event: WireNotification; readonly delivery_tag: number }
    }
  | {
      readonly type: 'synchronization'
      readonly data: { readonly marker_id: string; readonly delivery_tag: number }
    }
  | { readonly type: 'notifications_missed' }

export interface EventsSocket extends OpenSocket {
  readonly messages: EventLog<EventsMessage>
  /** The next event message that holds a matching event. */
  receives(
    matches: (event: WireEvent) => boolean,
    timeoutMs?: number,
  ): Promise<EventsMessage & { type: 'event' }>
  acknowledge(deliveryTag: number, options?: { multiple?: boolean }): void
  acknowledgeFullSync(): void
}

/** The server answered the upgrade with something else. */
export class UpgradeRefused extends Error {
  readonly status: number
  readonly body: string

  constructor(status: number, body: string) {
    super(`The server refused the socket with ${status}: ${body.slice(0, 300)}`)
    this.name = 'UpgradeRefused'
    this.status = status
    this.body = body
  }
}

const DEFAULT_TIMEOUT_MS = 20_000

interface RawFrames {
  readonly socket: WebSocket
  readonly faults: string[]
  readonly closed: Promise<SocketEnd>
}

/** Opens a socket; `onFrame` gets the text of each frame from the first one on. */
function openFrames(
  url: string,
  headers: Readonly<Record<string, string>>,
  onFrame: (text: string, faults: string[]) => void,
): Promise<RawFrames> {
  const faults: string[] = []
  const socket = new WebSocket(url, {
    headers,
    perMessageDeflate: false,
    skipUTF8Validation: true,
    handshakeTimeout: DEFAULT_TIMEOUT_MS,
  })
  const ended = Promise.withResolvers<SocketEnd>()
  socket.on('message', (data, isBinary) => {
    const bytes = data as Buffer
    if (!isBinary) faults.push('a text frame')
    if (bytes.some((byte) => byte > 0x7f)) faults.push('a byte above 0x7f')
    onFrame(bytes.toString('latin1'), faults)
  })
  socket.on('close', (code, reason) => ended.resolve({ code, reason: reason.toString() }))
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('open', () => resolve({ socket, faults, closed: ended.promise }))
    socket.on('unexpected-response', (request, response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        request.destroy()
        reject(new UpgradeRefused(response.statusCode ?? 0, Buffer.concat(chunks).toString()))
      })
    })
  })
}

function socketControls({ socket, faults, closed }: RawFrames): OpenSocket {
  async function close(code = 1000): Promise<SocketEnd> {
    socket.resume()
    socket.close(code)
    return closed
  }
  return {
    faults,
    closed,
    sendFrame: (frame) => socket.send(frame),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close,
    terminate: () => socket.terminate(),
    async [Symbol.asyncDispose]() {
      socket.resume()
      socket.terminate()
      await closed
    },
  }
}

function parseFrame(text: string, faults: string[]): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    faults.push(`no JSON: ${text.slice(0, 100)}`)
    return undefined
  }
}

/** Opens `/await` at `url`, which holds token and device. */
export async function openAwaitSocket(
  url: string,
  options: {
    name: string
    headers?: Readonly<Record<string, string>>
    /** Called for each event, from the first one on, beside its being logged. */
    onEvent?: (event: LiveEvent) => void
    /** Called for each frame with a notification, before its events. */
    onNotification?: (notification: WireNotification) => void
  },
): Promise<AwaitSocket> {
  const events = eventLog<LiveEvent>(options.name)
  let pongs: (() => void)[] = []
  const frames = await openFrames(url, options.headers ?? {}, (text, faults) => {
    if (text === 'pong') {
      const waiting = pongs
      pongs = []
      for (const resolve of waiting) resolve()
      return
    }
    const notification = parseFrame(text, faults) as WireNotification | undefined
    if (!notification) return
    options.onNotification?.(notification)
    const { id, payload, transient = false } = notification
    for (const event of payload) {
      const live = { notification: id, transient, event }
      events.add(live)
      options.onEvent?.(live)
    }
  })
  void frames.closed.then(({ code }) => events.end(new Error(`the socket closed with ${code}`)))
  return {
    ...socketControls(frames),
    events,
    receives: (matches, timeoutMs = DEFAULT_TIMEOUT_MS) =>
      events.take(({ event }) => matches(event), timeoutMs),
    async ping(timeoutMs = DEFAULT_TIMEOUT_MS) {
      const answered = Promise.withResolvers<void>()
      pongs.push(answered.resolve)
      const timer = setTimeout(
        () => answered.reject(new Error(`${options.name}: no pong within ${timeoutMs} ms`)),
        timeoutMs,
      )
      frames.socket.send('ping')
      await answered.promise.finally(() => clearTimeout(timer))
    },
  }
}

/** Opens `/events` at `url`; with `isAcknowledging`, each event and marker is acknowledged at once. */
export async function openEventsSocket(
  url: string,
  options: {
    name: string
    isAcknowledging?: boolean
    headers?: Readonly<Record<string, string>>
    /** Called for each message, from the first one on, beside its being logged. */
    onMessage?: (message: EventsMessage) => void
  },
): Promise<EventsSocket> {
  const messages = eventLog<EventsMessage>(options.name)
  // A frame may arrive in the turn in which the upgrade completes.
  const early: number[] = []
  let acknowledge: (deliveryTag: number, options?: { multiple?: boolean }) => void = (tag) =>
    void early.push(tag)
  const frames = await openFrames(url, options.headers ?? {}, (text, faults) => {
    const message = parseFrame(text, faults) as EventsMessage | undefined
    if (!message) return
    messages.add(message)
    options.onMessage?.(message)
    if (options.isAcknowledging && 'data' in message) acknowledge(message.data.delivery_tag)
  })
  const send = (message: unknown): void => frames.socket.send(JSON.stringify(message))
  acknowledge = (deliveryTag, { multiple = false } = {}) =>
    send({ type: 'ack', data: { delivery_tag: deliveryTag, multiple } })
  for (const tag of early) acknowledge(tag)
  void frames.closed.then(({ code }) => messages.end(new Error(`the socket closed with ${code}`)))
  return {
    ...socketControls(frames),
    messages,
    receives: async (matches, timeoutMs = DEFAULT_TIMEOUT_MS) => {
      const message = await messages.take(
        (each) => each.type === 'event' && each.data.event.payload.some(matches),
        timeoutMs,
      )
      return message as EventsMessage & { type: 'event' }
    },
    acknowledge,
    acknowledgeFullSync: () => send({ type: 'ack_full_sync' }),
  }
}
