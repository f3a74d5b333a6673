import type { Logger } from 'pino'
import type { Client, ClientInput } from '../../../contract/endpoint.ts'
import type { queueApi } from '../../../contract/gundeck/attachments.ts'

export type Acknowledgement = ClientInput<
  (typeof queueApi)['acknowledge']
>['body']['acknowledgements'][number]

/** Carries acknowledgements to the inboxes: the newest of each client, one call at a time. */
export interface Acknowledgements {
  add(acknowledgement: Acknowledgement): void
  /** Resolves when it is durable. */
  addNow(acknowledgement: Acknowledgement): Promise<void>
  /** Resolves when everything added has been sent, or could not be. */
  flush(): Promise<void>
}

export function createAcknowledgements(deps: {
  gundeck: Pick<Client<typeof queueApi>, 'acknowledge'>
  log: Logger
}): Acknowledgements {
  const { gundeck, log } = deps
  let waiting = new Map<string, Acknowledgement>()
  let sending: Promise<void> | undefined

  async function send(): Promise<void> {
    while (waiting.size > 0) {
      await new Promise(setImmediate)
      const acknowledgements = [...waiting.values()]
      waiting = new Map()
      try {
        await gundeck.acknowledge({ body: { acknowledgements } })
      } catch (error) {
        // What is not noted comes again on the client's next socket.
        log.warn({ err: error, count: acknowledgements.length }, 'acknowledgements not noted')
      }
    }
    sending = undefined
  }

  return {
    add(acknowledgement) {
      // A later one of a client tells everything that the earlier ones did.
      waiting.set(acknowledgement.user + acknowledgement.client, acknowledgement)
      sending ??= send()
    },
    async addNow(acknowledgement) {
      await gundeck.acknowledge({ body: { acknowledgements: [acknowledgement] } })
    },
    async flush() {
      await sending
    },
  }
}
