import type { ClientId, ConversationId, UserId } from '../../../contract/ids.ts'
import { mapBounded } from '../bounded.ts'
import { createMemory } from '../memory.ts'
import type { Devices } from '../rules/mismatch.ts'
import type { Room } from '../rules/stored-conversation.ts'
import type { ClientStore } from './clients.ts'
import type { ConversationStore } from './conversations.ts'

/*
 * Every send reads its conversation and the devices of all members. A galley that is alone sees every
 * change of both, so it may remember them; with a second one this would hide what the other does.
 */

/** @param maxMembers Of all remembered conversations together. */
export function rememberConversations(
  store: ConversationStore,
  maxMembers: number,
): ConversationStore {
  const rooms = createMemory<ConversationId, Room>({
    maxWeight: maxMembers,
    weightOf: ({ members }) => 1 + members.length,
  })
  const find = (conversation: ConversationId): Promise<Room | undefined> =>
    rooms.get(conversation, () => store.find(conversation))
  return {
    ...store,
    find,
    membersOf: async (conversation) => (await find(conversation))?.members ?? [],
    async apply(conversation, effects, time) {
      try {
        await store.apply(conversation, effects, time)
      } finally {
        rooms.forget(conversation)
      }
    },
  }
}

export function rememberClients(store: ClientStore, maxUsers: number): ClientStore {
  const devices = createMemory<UserId, ReadonlySet<ClientId>>({
    maxWeight: maxUsers,
    weightOf: () => 1,
  })

  async function thenForget(user: UserId, write: Promise<void>): Promise<void> {
    try {
      await write
    } finally {
      devices.forget(user)
    }
  }

  return {
    async devicesOf(users): Promise<Devices> {
      const found = await mapBounded(users, async (user) => {
        const load = async () => (await store.devicesOf([user])).get(user)
        return [user, (await devices.get(user, load)) ?? new Set<ClientId>()] as const
      })
      return new Map(found)
    },
    add: (user, client, atMs) => thenForget(user, store.add(user, client, atMs)),
    remove: (user, client) => thenForget(user, store.remove(user, client)),
    removeAll: (user) => thenForget(user, store.removeAll(user)),
  }
}
