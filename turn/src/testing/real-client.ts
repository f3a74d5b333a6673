import { createSocket } from 'node:dgram'
import { randomBytes } from 'node:crypto'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { longTermKey } from '../credentials.ts'
import * as attributes from '../wire/attributes.ts'
import { find, written, type Written } from '../wire/attributes.ts'
import { frameReader } from '../wire/frames.ts'
import { decodeMessage, hasStunHeader, methods, type ReceivedMessage } from '../wire/message.ts'
import { sealMessage } from '../wire/protection.ts'

/** A client with a real socket, for tests of whole processes. */
export interface RealClient extends AsyncDisposable {
  /** A request with credentials, repeated while no answer comes. */
  ask(method: number, ...attributes: readonly Written[]): Promise<ReceivedMessage>
  write(bytes: Uint8Array): void
  /** The next that is no reply: ChannelData and indications. */
  next(): Promise<Uint8Array>
  readonly closed: Promise<void>
}

interface Channel {
  write(bytes: Uint8Array): void
  onFrame(handler: (frame: Uint8Array) => void): void
  readonly closed: Promise<void>
  close(): Promise<void>
}

export interface RealClientOptions {
  readonly transport: 'UDP' | 'TCP' | 'TLS'
  readonly host: string
  readonly port: number
  readonly username: string
  readonly password: string
  readonly realm?: string
}

const repeatMs = 500
const tries = 20

export async function realClient(options: RealClientOptions): Promise<RealClient> {
  const channel = options.transport === 'UDP' ? await overUdp(options) : await overStream(options)
  const { username, password, realm = 'dummy.io' } = options
  const key = longTermKey(username, realm, password)
  const pending = new Map<string, (message: ReceivedMessage) => void>()
  const arrived: Uint8Array[] = []
  const waiting: ((bytes: Uint8Array) => void)[] = []
  let nonce = ''

  channel.onFrame((frame) => {
    if (hasStunHeader(frame)) {
      const message = decodeMessage(frame)
      const id = Buffer.from(message.transactionId).toString('hex')
      const resolve = pending.get(id)
      if (message.class !== 'indication') {
        pending.delete(id)
        resolve?.(message)
        return
      }
    }
    const next = waiting.shift()
    if (next === undefined) arrived.push(frame)
    else next(frame)
  })

  async function exchange(bytes: Uint8Array): Promise<ReceivedMessage> {
    const id = Buffer.from(bytes.subarray(8, 20)).toString('hex')
    const answer = Promise.withResolvers<ReceivedMessage>()
    pending.set(id, answer.resolve)
    let left = options.transport === 'UDP' ? tries : 1
    const send = (): void => {
      if (left > 0) channel.write(bytes)
      left -= 1
    }
    send()
    const timer = setInterval(send, repeatMs)
    const last = setTimeout(() => answer.reject(new Error('no reply')), repeatMs * tries)
    try {
      return await answer.promise
    } finally {
      clearInterval(timer)
      clearTimeout(last)
    }
  }
  function request(method: number, given: readonly Written[], isSigned: boolean): Uint8Array {
    const transactionId = randomBytes(12)
    const signed = isSigned
      ? [
          written(attributes.username, username),
          written(attributes.realm, realm),
          written(attributes.nonce, nonce),
        ]
      : []
    return sealMessage(
      {
        class: 'request',
        method,
        transactionId,
        attributes: [...given, ...signed].map((write) => write(transactionId)),
      },
      isSigned ? { key } : {},
    )
  }

  return {
    async ask(method, ...given) {
      if (nonce === '') {
        const challenge = await exchange(request(methods.allocate, [], false))
        nonce = find(challenge, attributes.nonce) ?? ''
      }
      return exchange(request(method, given, true))
    },
    write: (bytes) => channel.write(bytes),
    next() {
      const first = arrived.shift()
      if (first !== undefined) return Promise.resolve(first)
      return new Promise((resolve) => waiting.push(resolve))
    },
    closed: channel.closed,
    [Symbol.asyncDispose]: () => channel.close(),
  }
}

async function overUdp({ host, port }: RealClientOptions): Promise<Channel> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  await new Promise<void>((resolve) => socket.connect(port, host, resolve))
  socket.on('error', () => undefined)
  return {
    write: (bytes) => socket.send(bytes),
    onFrame: (handler) => void socket.on('message', handler),
    closed: new Promise((resolve) => socket.once('close', () => resolve())),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

async function overStream({ transport, host, port }: RealClientOptions): Promise<Channel> {
  const socket =
    transport === 'TCP'
      ? connectTcp({ host, port })
      : connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['stun.turn'] })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    socket.once(transport === 'TCP' ? 'connect' : 'secureConnect', () => resolve())
    socket.once('error', reject)
  })
  socket.on('error', () => undefined)
  const reader = frameReader()
  return {
    write: (bytes) => void socket.write(bytes),
    onFrame: (handler) => void socket.on('data', (chunk) => reader.read(chunk, handler)),
    closed,
    close() {
      socket.destroy()
      return closed
    },
  }
}
