import { awaitFrame, pongFrame } from '../rules/frames.ts'
import type { SocketProtocol } from './live-socket.ts'

const ping = Buffer.from('ping')

/** `/await`: every notification once, as it comes; nothing is acknowledged. One for all sockets. */
export const awaitProtocol: SocketProtocol = {
  hasRoom: true,
  frameOf: ({ id, payload, isTransient }, shared) =>
    shared?.() ?? awaitFrame(id, payload, isTransient === true),
  onOpen: () => true,
  onCaughtUp: () => undefined,
  onMessage(socket, bytes) {
    if (bytes.equals(ping)) socket.answer(pongFrame)
  },
  onClosed: () => undefined,
}
