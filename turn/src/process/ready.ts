import { createSocket } from 'node:dgram'
import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { hasStunHeader, methods } from '../wire/message.ts'
import { sealMessage } from '../wire/protection.ts'

const repeatMs = 250

/** Asks for a Binding over UDP until something answers; false when nothing did in that time. */
export async function waitForBinding(
  at: { readonly address: string; readonly port: number },
  timeoutMs: number,
): Promise<boolean> {
  const socket = createSocket(at.address.includes(':') ? 'udp6' : 'udp4')
  const transactionId = randomBytes(12)
  const request = sealMessage(
    { class: 'request', method: methods.binding, transactionId, attributes: [] },
    {},
  )
  let isAnswered = false
  socket.on('error', () => undefined)
  socket.on('message', (bytes) => {
    // Any reply of its own, for a relay may demand credentials.
    const isOwn = Buffer.compare(bytes.subarray(8, 20), transactionId) === 0
    if (hasStunHeader(bytes) && isOwn) isAnswered = true
  })
  const untilMs = performance.now() + timeoutMs
  while (!isAnswered && performance.now() < untilMs) {
    socket.send(request, at.port, at.address)
    await wait(repeatMs)
  }
  socket.close()
  return isAnswered
}
