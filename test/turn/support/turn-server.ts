import { createSocket } from 'node:dgram'
import type { ChildSettings, ServerChild } from './server-child.ts'
import { methods, newTransactionId, writeMessage, type Credentials } from './stun.ts'

/** A TURN server under test, whichever program it is. */
export interface TurnServer extends AsyncDisposable {
  readonly name: string
  readonly version: string
  readonly host: string
  /** UDP and TCP. */
  readonly port: number
  readonly tlsPort: number
  readonly certificateFile: string
  readonly child: ServerChild
  readonly realm: string
  /** Of TURN REST. */
  readonly secret: string
  credentialsFor(index: number): Credentials
}

export interface TurnServerSettings extends ChildSettings {
  readonly host?: string
  /** Further addresses to listen and relay on, such as `::1`. */
  readonly moreHosts?: readonly string[]
  readonly relayPorts?: { readonly first: number; readonly last: number }
  readonly threads?: number
  /** Further arguments. */
  readonly flags?: readonly string[]
}

/** Whether a Binding request over UDP is answered within 200 ms. */
export function answersBinding(host: string, port: number): Promise<boolean> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  return new Promise((resolve) => {
    const end = (isAnswered: boolean): void => {
      clearTimeout(late)
      socket.close()
      resolve(isAnswered)
    }
    const late = setTimeout(() => end(false), 200)
    socket.once('error', () => end(false))
    socket.once('message', () => end(true))
    const request = writeMessage({
      class: 'request',
      method: methods.binding,
      transactionId: newTransactionId(),
      attributes: [],
    })
    socket.send(request, port, host)
  })
}
