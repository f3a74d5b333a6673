import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ApiError } from '../../contract/error.ts'

/**
 * A socket that is closed with unread bytes in it makes the system reset the connection, and the
 * caller may lose the reply that came just before. So what still comes is read and dropped for a
 * while, but not for as long as the caller likes (RFC 9112 §9.6).
 */
const lingerMs = 2_000

/** Drops the rest of a request; `done` is called once, when it is over or has taken too long. */
export function dropRest(request: IncomingMessage, done: () => void): void {
  const finish = (): void => {
    clearTimeout(timer)
    request.off('end', finish)
    request.off('close', finish)
    done()
  }
  const timer = setTimeout(finish, lingerMs)
  request.on('end', finish)
  request.on('close', finish)
  request.resume()
}

/** Answers on a socket that has no response object, and lets go of it. */
export function refuseOn(socket: Duplex, error: ApiError): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const { status, label } = error.declaration
  const body = JSON.stringify(error.body())
  const retry = error.details.retryAfterSeconds
  const head = [
    `HTTP/1.1 ${String(status)} ${label}`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${String(Buffer.byteLength(body))}`,
    ...(retry === undefined ? [] : [`retry-after: ${String(Math.max(1, Math.ceil(retry)))}`]),
  ]
  // Nobody is left to be told of a broken connection.
  socket.on('error', () => undefined)
  socket.removeAllListeners('data')
  socket.on('data', () => undefined)
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
