import { connect } from 'node:net'

export interface IdleSocket {
  close(): void
}

/**
 * A WebSocket reduced to what a load generator needs: it upgrades, answers protocol pings, and tells
 * how many whole frames came. Far lighter than a client library, so that the server is measured.
 */
export function openIdleSocket(
  wsUrl: string,
  token: string,
  onFrames: (count: number) => void = () => undefined,
): Promise<IdleSocket> {
  const { hostname, port } = new URL(wsUrl)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.setNoDelay(true)
      socket.write(
        `GET /await?access_token=${encodeURIComponent(token)} HTTP/1.1\r\nhost: bench\r\n` +
          'connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n' +
          'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      )
    })
    let held: Buffer = Buffer.alloc(0)
    let isOpen = false
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the socket was closed')))
    socket.on('data', (chunk) => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      if (!isOpen) {
        const end = held.indexOf('\r\n\r\n')
        if (end === -1) return
        const status = held.toString('latin1', 9, 12)
        if (status !== '101') {
          reject(new Error(`the upgrade was answered ${status}: ${held.toString('latin1', end)}`))
          socket.destroy()
          return
        }
        isOpen = true
        held = held.subarray(end + 4)
        resolve({ close: () => socket.destroy() })
      }
      const { frames, rest } = takeFrames(held, (payload) => socket.write(pong(payload)))
      held = rest.length === 0 ? Buffer.alloc(0) : Buffer.from(rest)
      if (frames > 0) onFrames(frames)
    })
  })
}

function takeFrames(
  bytes: Buffer,
  onPing: (payload: Buffer) => void,
): { frames: number; rest: Buffer } {
  let frames = 0
  let at = 0
  while (bytes.length - at >= 2) {
    const opcode = (bytes[at] ?? 0) & 0x0f
    let length = (bytes[at + 1] ?? 0) & 0x7f
    let head = 2
    if (length === 126) {
      if (bytes.length - at < 4) break
      length = bytes.readUInt16BE(at + 2)
      head = 4
    } else if (length === 127) {
      if (bytes.length - at < 10) break
      length = Number(bytes.readBigUInt64BE(at + 2))
      head = 10
    }
    if (bytes.length - at < head + length) break
    if (opcode === 9) onPing(bytes.subarray(at + head, at + head + length))
    else if (opcode === 1 || opcode === 2) frames += 1
    at += head + length
  }
  return { frames, rest: bytes.subarray(at) }
}

/** Clients mask; a mask of zeros is one too. */
function pong(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x8a, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}
