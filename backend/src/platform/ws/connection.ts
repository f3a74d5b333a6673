import { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { readFrames } from './frame-reader.ts'
import type { ClientFrame, FrameTaker, Unfinished } from './frame-reader.ts'
import { encodeClose, encodeFrame, opcode } from './frames.ts'

/** Who is told what happens on a connection: one object of the caller's per connection. */
export interface ConnectionListener {
  onMessage(bytes: Buffer, isText: boolean): void
  /** Everything written has gone to the operating system, after there was too much of it. */
  onDrain(): void
  /**
   * The client closes, and sends nothing more. Its close is answered when the result resolves, which
   * must not reject; at once, when there is none.
   */
  onGoodbye(): Promise<void> | undefined
  /** Called once, whoever closed; nothing is called afterwards. */
  onClosed(): void
}

/** Wire's clients send pings and acknowledgements, nothing large. */
const largestMessageBytes = 64 * 1024
/** Frames that wait for one socket are copied into one write up to this size. */
const joinedBytes = 64 * 1024

const connectionOf: unique symbol = Symbol('connection')
type OwnSocket = Socket & { [connectionOf]?: Connection | undefined }

/**
 * An open WebSocket with as little memory as possible: `ws` makes the handshake, then gives up the
 * TCP socket, and its own objects (3 KB and more for each socket) can be collected.
 */
export class Connection implements FrameTaker {
  readonly #socket: OwnSocket
  readonly #listener: ConnectionListener
  #waiting: Buffer[] = noFrames
  #unfinished: Unfinished | undefined
  /** What a client that does not read will be told when it does. */
  #answer: Buffer | undefined
  /** `leaving`: the client closes, and is not answered yet. */
  #state: 'open' | 'leaving' | 'closing' | 'closed' = 'open'
  /** Pings without any sign of life since. */
  unanswered = 0

  constructor(webSocket: WebSocket, listener: ConnectionListener) {
    const socket: OwnSocket = takeSocket(webSocket)
    this.#socket = socket
    this.#listener = listener
    socket[connectionOf] = this
    socket.on('data', onData)
    socket.on('drain', onDrain)
    socket.on('end', onEnd)
    socket.on('error', onError)
    socket.on('close', onClose)
    if (socket.destroyed) queueMicrotask(() => this.closed())
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** False while the operating system takes no more: `onDrain` follows. */
  get hasRoom(): boolean {
    return !this.#socket.writableNeedDrain
  }

  /** Written, and not yet taken by the operating system. */
  get waitingBytes(): number {
    return this.#socket.writableLength
  }

  /** Takes a whole frame, to be written with the next `flush`. */
  send(frame: Buffer): void {
    if (this.#state !== 'open') return
    if (this.#waiting === noFrames) this.#waiting = [frame]
    else this.#waiting.push(frame)
  }

  /** Writes what waits, as one write where that is cheaper. */
  flush(): void {
    const frames = this.#waiting
    if (frames.length === 0) return
    this.#waiting = noFrames
    const [first] = frames
    if (this.#state !== 'open' || first === undefined) return
    if (frames.length === 1) {
      this.#socket.write(first)
      return
    }
    const total = frames.reduce((sum, frame) => sum + frame.length, 0)
    if (total <= joinedBytes) {
      this.#socket.write(Buffer.concat(frames, total))
      return
    }
    this.#socket.cork()
    for (const frame of frames) this.#socket.write(frame)
    this.#socket.uncork()
  }

  /**
   * Answers what the client sent. While it does not read, only the last answer is kept (RFC 6455
   * §5.5.3), or asking would cost memory here and nothing there.
   */
  answer(frame: Buffer): void {
    if (!this.hasRoom) {
      this.#answer = frame
      return
    }
    this.send(frame)
    this.flush()
  }

  ping(): void {
    this.unanswered += 1
    this.send(pingFrame)
    this.flush()
  }

  /** Sends a close frame after what waits; the client answers it and the socket ends. */
  close(code: number, reason = ''): void {
    if (this.#state !== 'open') return
    this.flush()
    this.#end(encodeClose(code, reason))
  }

  #end(lastFrame: Buffer): void {
    this.#state = 'closing'
    this.#socket.end(lastFrame)
  }

  async #leave(code: number): Promise<void> {
    this.flush()
    this.#state = 'leaving'
    const goodbye = this.#listener.onGoodbye()
    if (goodbye !== undefined) await goodbye
    if (this.#state === 'leaving') this.#end(encodeClose(code, ''))
  }

  /** Ends the socket without a word: for peers that do not answer. */
  terminate(): void {
    this.#socket.destroy()
  }

  read(chunk: Buffer): void {
    if (this.#state === 'closed') return
    this.unanswered = 0
    this.#unfinished = readFrames(chunk, this.#unfinished, largestMessageBytes, this)
  }

  takeFrame(frame: ClientFrame): void {
    if (this.#state !== 'open') return
    switch (frame.kind) {
      case 'message':
        this.#listener.onMessage(frame.bytes, frame.isText)
        break
      case 'ping':
        this.answer(encodeFrame(opcode.pong, frame.bytes))
        break
      case 'pong':
        break
      case 'close':
        void this.#leave(frame.code === 1005 ? 1000 : frame.code)
        break
      case 'failed':
        this.close(frame.code, frame.reason)
        break
    }
  }

  drained(): void {
    if (this.#state !== 'open') return
    const answer = this.#answer
    this.#answer = undefined
    if (answer !== undefined) this.answer(answer)
    this.#listener.onDrain()
  }

  ended(): void {
    // Who closed first, and then ended, still gets its answer.
    if (this.#state === 'leaving') return
    if (this.#state === 'open') this.#state = 'closing'
    this.#socket.end()
  }

  closed(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#waiting = noFrames
    this.#answer = undefined
    this.#unfinished = undefined
    this.#socket[connectionOf] = undefined
    this.#listener.onClosed()
  }
}

// Shared by all connections, because a closure for each event of each socket costs memory.
const noFrames: Buffer[] = []
const pingFrame = encodeFrame(opcode.ping, '')
function onData(this: OwnSocket, chunk: Buffer): void {
  this[connectionOf]?.read(chunk)
}
function onDrain(this: OwnSocket): void {
  this[connectionOf]?.drained()
}
function onEnd(this: OwnSocket): void {
  this[connectionOf]?.ended()
}
function onError(this: OwnSocket): void {
  this.destroy()
}
function onClose(this: OwnSocket): void {
  this[connectionOf]?.closed()
}

/**
 * Takes the TCP socket out of a `ws` socket that has just opened, before anything was read from it.
 * Touches parts of `ws` that are not documented; its version is pinned and tests would notice.
 */
function takeSocket(webSocket: WebSocket): Socket {
  const socket: unknown = Reflect.get(webSocket, '_socket')
  if (!(socket instanceof Socket)) throw new TypeError('the WebSocket is not open')
  for (const event of ['data', 'drain', 'end', 'error', 'close', 'timeout']) {
    socket.removeAllListeners(event)
  }
  // What `ws` remembers of itself would keep its objects alive as long as the socket.
  for (const symbol of Object.getOwnPropertySymbols(socket)) {
    if (symbol.description === 'websocket') Reflect.set(socket, symbol, undefined)
  }
  return socket
}
