import { Agent, request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'

// Requests as no well-behaved client writes them.

export interface HostileRequest {
  readonly method: string
  /** Path and query as they go on the wire. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** Sent in chunks, without a length. */
  readonly isChunked?: boolean
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly bytes: Buffer
  readonly text: string
  readonly tookMs: number
}

export interface Sender extends AsyncDisposable {
  /** Rejects when the connection ends without an answer. */
  send(request: HostileRequest): Promise<Answer>
}

const patienceMs = 20_000

/** Sends over connections that are used again, so that what one request leaves behind hits the next. */
export function senderTo(url: string, { connections = 4 } = {}): Sender {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const { hostname, port } = new URL(url)

  return {
    send(given) {
      const startedMs = performance.now()
      return new Promise((resolve, reject) => {
        const { body } = given
        const length: Record<string, string> = {}
        if (given.isChunked === true) length['transfer-encoding'] = 'chunked'
        else if (body !== undefined) length['content-length'] = String(body.length)
        const request = httpRequest(
          {
            hostname,
            port,
            agent,
            method: given.method,
            path: given.target,
            headers: { ...length, ...given.headers },
            timeout: patienceMs,
          },
          (response) => {
            const chunks: Buffer[] = []
            response.on('data', (chunk: Buffer) => chunks.push(chunk))
            response.on('error', reject)
            response.on('end', () => {
              const bytes = Buffer.concat(chunks)
              resolve({
                status: response.statusCode ?? 0,
                headers: response.headers,
                bytes,
                text: bytes.toString('latin1'),
                tookMs: performance.now() - startedMs,
              })
            })
          },
        )
        request.on('timeout', () => request.destroy(new Error('no answer in time')))
        request.on('error', reject)
        request.end(body)
      })
    },
    async [Symbol.asyncDispose]() {
      agent.destroy()
    },
  }
}

export interface RawConnection extends AsyncDisposable {
  readonly socket: Socket
  write(bytes: string | Uint8Array): void
  /** Everything that came so far, a character for each byte. */
  received(): string
  /** Resolves once `pattern` came; rejects when the connection ends before. */
  receives(pattern: RegExp, timeoutMs?: number): Promise<string>
  /** Resolves when the server has closed its side; false when it has not after `timeoutMs`. */
  ends(timeoutMs: number): Promise<boolean>
}

/** A TCP connection for bytes that are no HTTP, or not all of it. It stays open on our side. */
export async function connectRaw(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
  let text = ''
  let hasEnded = false
  let changed = Promise.withResolvers<void>()
  const change = (): void => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    change()
  })
  const end = (): void => {
    hasEnded = true
    change()
  }
  socket.on('end', end)
  socket.on('close', end)
  socket.on('error', end)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve())
    socket.once('error', reject)
  })

  async function until<T>(look: () => T | undefined, timeoutMs: number): Promise<T | undefined> {
    const deadlineMs = performance.now() + timeoutMs
    for (;;) {
      const found = look()
      const leftMs = deadlineMs - performance.now()
      if (found !== undefined || leftMs <= 0) return found
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, leftMs)
      await Promise.race([changed.promise, promise])
      clearTimeout(timer)
    }
  }

  return {
    socket,
    write: (bytes) => void socket.write(bytes),
    received: () => text,
    async receives(pattern, timeoutMs = 10_000) {
      const found = await until(
        () => (pattern.test(text) || hasEnded ? text : undefined),
        timeoutMs,
      )
      if (found !== undefined && pattern.test(found)) return found
      throw new Error(`instead of ${String(pattern)} came ${JSON.stringify(text.slice(0, 500))}`)
    },
    ends: async (timeoutMs) => (await until(() => hasEnded || undefined, timeoutMs)) === true,
    async [Symbol.asyncDispose]() {
      socket.destroy()
    },
  }
}
