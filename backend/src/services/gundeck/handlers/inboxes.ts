import type { Handlers } from '../../../contract/endpoint.ts'
import type { queueApi } from '../../../contract/gundeck/attachments.ts'
import type { inboxApi } from '../../../contract/gundeck/internal.ts'
import type { Inboxes } from '../inbox/inboxes.ts'
import type { Queues } from '../inbox/queues.ts'
import type { Router } from '../ring/router.ts'
import type { NotificationStore } from '../store/notifications.ts'
import type { PushTokenStore } from '../store/push-tokens.ts'

/** Sockets and cursors are the owner's: calls are passed on to it. */
export function inboxHandlers(deps: {
  inboxes: Inboxes
  queues: Queues
  router: Router
  store: NotificationStore
  tokens: PushTokenStore
}): Handlers<typeof inboxApi> {
  const { inboxes, queues, router, store, tokens } = deps
  return {
    async openClientInbox({ params, query, body }) {
      const { user, client } = params
      await router.atOwner(
        user,
        query,
        () => queues.openClient(user, client, body.isAcknowledging),
        async (owner, routed, signal) => {
          await owner.openClientInbox({ params, query: routed, body, signal })
        },
      )
      return { status: 200 }
    },
    async closeClientInbox({ params, query }) {
      const { user, client } = params
      await router.atOwner(
        user,
        query,
        async () => {
          inboxes.find(user)?.closeSockets(client)
          await queues.closeClient(user, client)
          await tokens.removeOfClient(user, client)
        },
        async (owner, routed, signal) => {
          await owner.closeClientInbox({ params, query: routed, signal })
        },
      )
      return { status: 200 }
    },
    async closeInbox({ params, query }) {
      const { user } = params
      await router.atOwner(
        user,
        query,
        async () => {
          inboxes.find(user)?.closeSockets(undefined)
          await queues.closeAll(user)
          await tokens.removeAll(user)
          await store.eraseAll(user)
        },
        async (owner, routed, signal) => {
          await owner.closeInbox({ params, query: routed, signal })
        },
      )
      return { status: 200 }
    },
  }
}

export function queueHandlers(deps: { queues: Queues; router: Router }): Handlers<typeof queueApi> {
  const { queues, router } = deps
  return {
    async openQueue({ params, query }) {
      const { user, client } = params
      const queue = await router.atOwner(
        user,
        query,
        () => queues.open(user, client),
        async (owner, routed, signal) => {
          const { body } = await owner.openQueue({ params, query: routed, signal })
          return body.queue
        },
      )
      if (queue === undefined) return { status: 200, body: {} }
      const { cursor, acknowledged, hasMissed } = queue
      return {
        status: 200,
        body: { queue: { cursor, acknowledged: [...acknowledged], hasMissed } },
      }
    },
    async acknowledge({ query, body }) {
      const byUser = Map.groupBy(body.acknowledgements, ({ user }) => user)
      await router.atOwners([...byUser.keys()], query, {
        async here(users) {
          await queues.acknowledge(users.flatMap((user) => byUser.get(user) ?? []))
          return []
        },
        async there(owner, users, { query: routed, signal }) {
          const acknowledgements = users.flatMap((user) => byUser.get(user) ?? [])
          await owner.acknowledge({ query: routed, body: { acknowledgements }, signal })
          return []
        },
      })
      return { status: 200 }
    },
  }
}
