import type { Api } from './endpoint.ts'
import { accountsApi } from './brig/accounts.ts'
import { activationApi } from './brig/activation.ts'
import { apiVersionApi } from './brig/api-version.ts'
import { callsApi } from './brig/calls.ts'
import { clientsApi } from './brig/clients.ts'
import { connectionsApi } from './brig/connections.ts'
import { cookiesApi } from './brig/cookies.ts'
import { domainRegistrationApi } from './brig/domain-registration.ts'
import { emailApi } from './brig/email.ts'
import { handlesApi } from './brig/handles.ts'
import { loginApi } from './brig/login.ts'
import { passwordApi } from './brig/password.ts'
import { prekeysApi } from './brig/prekeys.ts'
import { propertiesApi } from './brig/properties.ts'
import { searchApi } from './brig/search.ts'
import { selfApi } from './brig/self.ts'
import { systemApi } from './brig/system.ts'
import { usersApi } from './brig/users.ts'
import { verificationApi } from './brig/verification.ts'
import { conversationSettingsApi } from './galley/conversation-settings.ts'
import { conversationsApi } from './galley/conversations.ts'
import { customBackendsApi } from './galley/custom-backends.ts'
import { featuresApi } from './galley/features.ts'
import { guestLinksApi } from './galley/guest-links.ts'
import { membersApi } from './galley/members.ts'
import { messagesApi } from './galley/messages.ts'
import { mlsKeysApi } from './galley/mls-keys.ts'
import { typingApi } from './galley/typing.ts'
import { notificationsApi } from './gundeck/notifications.ts'
import { pushTokensApi } from './gundeck/push-tokens.ts'
import { timeApi } from './gundeck/time.ts'
import { assetsApi } from './cargohold/assets.ts'

/**
 * Every public api by the service that answers it. nginz routes by it, OpenAPI is made from it, and
 * the gates walk it.
 */
export const publicApis = {
  brig: [
    accountsApi,
    activationApi,
    apiVersionApi,
    callsApi,
    clientsApi,
    connectionsApi,
    cookiesApi,
    domainRegistrationApi,
    emailApi,
    handlesApi,
    loginApi,
    passwordApi,
    prekeysApi,
    propertiesApi,
    searchApi,
    selfApi,
    systemApi,
    usersApi,
    verificationApi,
  ],
  galley: [
    conversationSettingsApi,
    conversationsApi,
    customBackendsApi,
    featuresApi,
    guestLinksApi,
    membersApi,
    messagesApi,
    mlsKeysApi,
    typingApi,
  ],
  gundeck: [notificationsApi, pushTokensApi, timeApi],
  cargohold: [assetsApi],
} as const satisfies Readonly<Record<string, readonly Api[]>>
