import type { Handlers } from '../../../contract/endpoint.ts'
import type { queueApi } from '../../../contract/gundeck/attachments.ts'
import type { inboxApi } from '../../../contract/gundeck/internal.ts'
import type { Inboxes } from '../inbox/inboxes.ts'
import type { Queues } from '../inbox/queues.ts'
import type { NotificationStore } from '../store/notifications.ts'
import type { PushTokenStore } from '../store/push-tokens.ts'

export function inboxHandlers(deps: {
  inboxes: Inboxes
  queues: Queues
  store: NotificationStore
  tokens: PushTokenStore
}): Handlers<typeof inboxApi> {
  const { inboxes, queues, store, tokens } = deps
  return {
    async openClientInbox({ params, body }) {
      await queues.openClient(params.user, params.client, body.isAcknowledging)
      return { status: 200 }
    },
    async closeClientInbox({ params }) {
      const { user, client } = params
      inboxes.find(user)?.closeSockets(client)
      await queues.closeClient(user, client)
      await tokens.removeOfClient(user, client)
      return { status: 200 }
    },
    async closeInbox({ params }) {
      const { user } = params
      inboxes.find(user)?.closeSockets(undefined)
      await queues.closeAll(user)
      await tokens.removeAll(user)
      await store.eraseAll(user)
      return { status: 200 }
    },
  }
}

export function queueHandlers({ queues }: { queues: Queues }): Handlers<typeof queueApi> {
  return {
    async openQueue({ params }) {
      const queue = await queues.open(params.user, params.client)
      if (queue === undefined) return { status: 200, body: {} }
      const { cursor, acknowledged, hasMissed } = queue
      return {
        status: 200,
        body: { queue: { cursor, acknowledged: [...acknowledged], hasMissed } },
      }
    },
    async acknowledge({ body }) {
      await queues.acknowledge(body.acknowledgements)
      return { status: 200 }
    },
  }
}
