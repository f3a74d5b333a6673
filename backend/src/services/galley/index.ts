import type { brigInternalApi } from '../../contract/brig/internal.ts'
import type { Client } from '../../contract/endpoint.ts'
import { conversationSettingsApi } from '../../contract/galley/conversation-settings.ts'
import { conversationsApi } from '../../contract/galley/conversations.ts'
import { customBackendsApi } from '../../contract/galley/custom-backends.ts'
import { featuresApi } from '../../contract/galley/features.ts'
import { guestLinksApi } from '../../contract/galley/guest-links.ts'
import { galleyInternalApi } from '../../contract/galley/internal.ts'
import { membersApi } from '../../contract/galley/members.ts'
import { messagesApi } from '../../contract/galley/messages.ts'
import { mlsKeysApi } from '../../contract/galley/mls-keys.ts'
import { typingApi } from '../../contract/galley/typing.ts'
import type { pushApi } from '../../contract/gundeck/internal.ts'
import type { Domain } from '../../contract/ids.ts'
import { routes } from '../../platform/http/routes.ts'
import type { Passwords } from '../../platform/passwords.ts'
import type { Platform, Service } from '../../platform/service.ts'
import { untilAnswered } from '../../platform/until-answered.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { changeLog } from './changes.ts'
import type { GalleyConfig } from './config.ts'
import { conversationSettingsHandlers } from './handlers/conversation-settings.ts'
import { conversationsHandlers } from './handlers/conversations.ts'
import { customBackendsHandlers } from './handlers/custom-backends.ts'
import { featuresHandlers } from './handlers/features.ts'
import { guestLinksHandlers } from './handlers/guest-links.ts'
import { internalHandlers } from './handlers/internal.ts'
import { membersHandlers } from './handlers/members.ts'
import { messagesHandlers } from './handlers/messages.ts'
import { mlsKeysHandlers } from './handlers/mls-keys.ts'
import { typingHandlers } from './handlers/typing.ts'
import { pusher } from './push.ts'
import { selfConversations } from './self-conversations.ts'
import { changeStore } from './store/changes.ts'
import { clientStore } from './store/clients.ts'
import { codeStore } from './store/codes.ts'
import { conversationStore } from './store/conversations.ts'
import { rememberClients, rememberConversations } from './store/remembered.ts'
import { loadRemovalKeys } from './store/removal-keys.ts'
import { galleyTables } from './tables.ts'
import { runUnfinishedChanges } from './workers/unfinished-changes.ts'

export interface GalleyDeps {
  readonly config: GalleyConfig
  readonly domain: Domain
  readonly platform: Platform
  readonly db: WideColumnStore
  /** Whether no other process writes these tables; then members and devices are remembered. */
  readonly isAlone: boolean
  readonly passwords: Passwords
  readonly brig: Pick<
    Client<typeof brigInternalApi>,
    'listUserSummaries' | 'listConnected' | 'listContacts'
  >
  readonly gundeck: Client<typeof pushApi>
}

function stores({ config, db, isAlone }: GalleyDeps) {
  const conversations = conversationStore(db)
  const clients = clientStore(db)
  if (!isAlone) return { conversations, clients }
  return {
    conversations: rememberConversations(conversations, config.rememberedMembers),
    clients: rememberClients(clients, config.rememberedUsers),
  }
}

/** Conversations: who is in, who may do what, and who gets each message. */
export async function startGalley(deps: GalleyDeps): Promise<Service> {
  const { config, domain, platform, db, passwords, brig } = deps
  await db.open(galleyTables)
  const { ids, clock } = platform
  const { conversations, clients } = stores(deps)
  const codes = codeStore(db)
  const removalKeys = await untilAnswered(() => loadRemovalKeys(db), {
    clock,
    waiting: (err) => platform.log.warn({ err }, 'waiting for the removal keys'),
  })
  const push = pusher({ gundeck: deps.gundeck, clock, repeatSeconds: config.repeatPushSeconds })
  const log = changeLog({ domain, platform, conversations, changes: changeStore(db), push })
  const guestLinks = {
    ...config.guestLinks,
    uriPrefix: config.guestLinks.uriPrefix ?? `https://account.${domain}/conversation-join/`,
  }
  const common = {
    domain,
    platform,
    ids,
    passwords,
    brig,
    conversations,
    clients,
    codes,
    push,
    changeLog: log,
    selfConversations: selfConversations({ conversations, changeLog: log }),
    sizeLimit: config.maxConversationSize,
    maxBroadcastUsers: config.maxBroadcastUsers,
    guestLinks,
    areGuestLinksEnabled: guestLinks.isEnabled,
    customBackends: config.customBackends,
    removalKeys,
  }

  const stopping = new AbortController()
  const worker = runUnfinishedChanges(
    { platform, changeLog: log, everySeconds: config.finishChangesEverySeconds },
    stopping.signal,
  )
  return {
    name: 'galley',
    routes: [
      ...routes(conversationsApi, conversationsHandlers(common)),
      ...routes(membersApi, membersHandlers(common)),
      ...routes(conversationSettingsApi, conversationSettingsHandlers(common)),
      ...routes(typingApi, typingHandlers(common)),
      ...routes(messagesApi, messagesHandlers(common)),
      ...routes(guestLinksApi, guestLinksHandlers(common)),
      ...routes(featuresApi, featuresHandlers(common)),
      ...routes(mlsKeysApi, mlsKeysHandlers(common)),
      ...routes(customBackendsApi, customBackendsHandlers(common)),
      ...routes(galleyInternalApi, internalHandlers(common)),
    ],
    sockets: [],
    missing: () => Promise.resolve([]),
    drain: () => Promise.resolve(),
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await worker
    },
  }
}
