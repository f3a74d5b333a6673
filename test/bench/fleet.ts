import { mailbox } from '../support/wire/mailbox.ts'
import { encodeOtrMessage, sameForAll } from '../support/wire/otr-message.ts'
import { rawClient, type RawClient } from '../support/wire/raw.ts'
import type { QualifiedId } from '../support/wire/wire-types.ts'
import { preparedRequest } from './http-line.ts'
import type { OperatorListener } from './requests.ts'

/** The size of a short text after Proteus encryption. */
export const cipherBytes = 250

export interface BenchServer {
  readonly url: string
  readonly mailboxUrl: string
  /** Where sockets go, when not to the same port. */
  readonly ws?: string
  /** Where a gundeck takes pushes, when it is a process of its own. */
  readonly gundeckUrl?: string
  /** The server's processes, for their CPU time. */
  readonly pids: readonly number[]
  /** Their operator's listeners, for what they count. */
  readonly operators?: readonly OperatorListener[]
}

/** A registered user; the client holds the last of the devices. */
export async function newUser(
  server: BenchServer,
  name: string,
  deviceCount: number,
): Promise<{ client: RawClient; id: QualifiedId; devices: string[] }> {
  const client = rawClient(server.url, {
    name,
    ...(server.ws === undefined ? {} : { ws: server.ws }),
  })
  const email = `${name}-${crypto.randomUUID()}@bench.example.org`
  const password = 'a bench password'
  await client.sendActivationCode(email)
  const { code } = await mailbox(server.mailboxUrl).secretFor(email, 'Activation')
  const self = await client.register({ email, password, name, code })
  const devices: string[] = []
  for (let i = 0; i < deviceCount; i += 1) {
    // A session is bound to one device.
    devices.push(await client.registerDevice(i === 0 ? {} : { password, isBound: false }))
  }
  return { client, id: self.qualified_id, devices }
}

/** The request of a 1:1 send from one user to all devices of another, ready for the line. */
export async function preparedSend(
  server: BenchServer,
  number: number,
): Promise<{ request: Buffer; conversation: QualifiedId }> {
  const alice = await newUser(server, `alice${String(number)}`, 1)
  const bob = await newUser(server, `bob${String(number)}`, 4)
  const path = (id: QualifiedId): string => `/connections/${id.domain}/${id.id}`
  await alice.client.request('POST', path(bob.id), { expect: 201 })
  const accepted = await bob.client.request<{ qualified_conversation: QualifiedId }>(
    'PUT',
    path(alice.id),
    { json: { status: 'accepted' }, expect: 200 },
  )
  const conversation = accepted.json.qualified_conversation
  return { conversation, request: sendRequest(alice, conversation, [bob]) }
}

export function sendRequest(
  sender: { client: RawClient; devices: readonly string[] },
  conversation: QualifiedId,
  recipients: readonly { id: QualifiedId; devices: readonly string[] }[],
): Buffer {
  const domain = conversation.domain
  const devices = {
    [domain]: Object.fromEntries(recipients.map(({ id, devices: list }) => [id.id, list])),
  }
  const [sending = ''] = sender.devices
  const body = encodeOtrMessage({
    sender: sending,
    recipients: sameForAll(devices, 'x'.repeat(cipherBytes)),
    strategy: 'report-all',
  })
  return preparedRequest({
    method: 'POST',
    path: `/v15/conversations/${domain}/${conversation.id}/proteus/messages`,
    token: sender.client.token ?? '',
    contentType: 'application/x-protobuf',
    body,
  })
}
