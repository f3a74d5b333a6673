import type { NotificationId } from '../../../contract/ids.ts'
import { encodeFrame, opcode } from '../../../platform/ws/frames.ts'

// Payloads are JSON text in ASCII, so frames are put together without looking into them.

export function awaitFrame(id: NotificationId, payload: string, isTransient: boolean): Buffer {
  const end = isTransient ? ',"transient":true}' : '}'
  return encodeFrame(opcode.binary, `{"id":"${id}","payload":${payload}${end}`)
}

export function eventFrame(id: NotificationId, payload: string, deliveryTag: number): Buffer {
  return encodeFrame(
    opcode.binary,
    `{"type":"event","data":{"event":{"id":"${id}","payload":${payload}},` +
      `"delivery_tag":${String(deliveryTag)}}}`,
  )
}

export function synchronizationFrame(markerId: string, deliveryTag: number): Buffer {
  const text = JSON.stringify({
    type: 'synchronization',
    data: { marker_id: markerId, delivery_tag: deliveryTag },
  })
  return encodeFrame(opcode.binary, Buffer.from(text))
}

export const missedFrame = encodeFrame(opcode.binary, '{"type":"notifications_missed"}')
export const pongFrame = encodeFrame(opcode.binary, 'pong')
