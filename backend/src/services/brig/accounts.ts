import { accountsApi } from '../../contract/brig/accounts.ts'
import { activationApi } from '../../contract/brig/activation.ts'
import { apiVersionApi } from '../../contract/brig/api-version.ts'
import { cookiesApi } from '../../contract/brig/cookies.ts'
import { domainRegistrationApi } from '../../contract/brig/domain-registration.ts'
import { emailApi } from '../../contract/brig/email.ts'
import { handlesApi } from '../../contract/brig/handles.ts'
import { loginApi } from '../../contract/brig/login.ts'
import { passwordApi } from '../../contract/brig/password.ts'
import { selfApi } from '../../contract/brig/self.ts'
import { systemApi } from '../../contract/brig/system.ts'
import { verificationApi } from '../../contract/brig/verification.ts'
import type { Client } from '../../contract/endpoint.ts'
import type { galleyInternalApi } from '../../contract/galley/internal.ts'
import type { inboxApi } from '../../contract/gundeck/internal.ts'
import type { Domain } from '../../contract/ids.ts'
import { routes } from '../../platform/http/routes.ts'
import type { Route } from '../../platform/http/routes.ts'
import type { Passwords } from '../../platform/passwords.ts'
import type { Platform } from '../../platform/service.ts'
import type { TokenSigner } from '../../platform/zauth/signer.ts'
import type { TokenVerifier } from '../../platform/zauth/verifier.ts'
import type { MailSender } from '../../ports/mail.ts'
import type { AnyTable, WideColumnStore } from '../../ports/wide-column.ts'
import { createAnnounce } from './announce.ts'
import type { AccountsConfig } from './config.ts'
import { createCredentials } from './credentials.ts'
import { createAccountDeletion } from './deletion.ts'
import type { AccountDeletion } from './deletion.ts'
import { createEmails } from './emails.ts'
import type { UserEvents } from './events.ts'
import type { Accounts, People } from './halves.ts'
import { accountHandlers } from './handlers/accounts.ts'
import { activationHandlers } from './handlers/activation.ts'
import { apiVersionHandlers } from './handlers/api-version.ts'
import { cookieHandlers } from './handlers/cookies.ts'
import { domainRegistrationHandlers } from './handlers/domain-registration.ts'
import { emailHandlers } from './handlers/email.ts'
import { handleHandlers } from './handlers/handles.ts'
import { loginHandlers } from './handlers/login.ts'
import { passwordHandlers } from './handlers/password.ts'
import { selfHandlers } from './handlers/self.ts'
import { systemHandlers } from './handlers/system.ts'
import { verificationHandlers } from './handlers/verification.ts'
import { createMails } from './mails/mails.ts'
import { createSessions } from './sessions.ts'
import { claimStore, emailsTable, handlesTable } from './store/claims.ts'
import type { ClaimStore } from './store/claims.ts'
import { codesTable, codeStore } from './store/codes.ts'
import { cookiesTable, cookieStore } from './store/cookies.ts'
import { deletionsTable, deletionStore } from './store/deletions.ts'
import { loginFailuresTable, loginFailureStore } from './store/login-failures.ts'
import { passwordsTable, passwordStore } from './store/passwords.ts'
import { usersTable } from './store/users.ts'
import type { UserStore } from './store/users.ts'
import { emailKey } from './rules/email-address.ts'

/** Who you are: registration, sessions, passwords, addresses, and the end of all that. */

export const accountTables: readonly AnyTable[] = [
  usersTable,
  handlesTable,
  emailsTable,
  passwordsTable,
  cookiesTable,
  codesTable,
  loginFailuresTable,
  deletionsTable,
]

export interface AccountsDeps {
  config: AccountsConfig
  domain: Domain
  platform: Platform
  db: WideColumnStore
  users: UserStore
  events: UserEvents
  people: People
  sender: MailSender
  passwords: Passwords
  signer: TokenSigner
  tokens: TokenVerifier
  galley: Pick<Client<typeof galleyInternalApi>, 'removeUser'>
  gundeck: Pick<Client<typeof inboxApi>, 'closeInbox'>
}

export interface AccountsHalf extends AsyncDisposable {
  routes: Route[]
  /** For the people half. */
  accounts: Accounts
  handles: ClaimStore
  /** For the worker. */
  deletion: AccountDeletion
}

export function createAccounts(deps: AccountsDeps): AccountsHalf {
  const { config, db, platform, users, events, people } = deps
  const { clock, ids, log } = platform

  const handles = claimStore(db, handlesTable, { users, valueOf: (user) => user.handle })
  const claims = claimStore(db, emailsTable, {
    users,
    valueOf: ({ email }) => email && emailKey(email),
  })
  const codes = codeStore(db, { clock, maxTries: config.codes.maxTries })
  const failures = loginFailureStore(db, clock)
  const deletions = deletionStore(db)
  const emails = createEmails({ ...deps, claims })
  const credentials = createCredentials({ ...deps, store: passwordStore(db), clock })
  const sessions = createSessions({ ...deps, cookies: cookieStore(db), clock, ids })
  const mails = createMails({ ...deps, clock, log })
  const announce = createAnnounce({ events, people })

  const parts = { ...deps, handles, codes, failures, deletions, emails, credentials, sessions }
  const deletion = createAccountDeletion({ ...parts, clock, log })
  const all = { ...parts, deletion, mails, announce, clock, ids, log }

  return {
    routes: [
      ...routes(accountsApi, accountHandlers(all)),
      ...routes(activationApi, activationHandlers(all)),
      ...routes(apiVersionApi, apiVersionHandlers(all)),
      ...routes(cookiesApi, cookieHandlers(all)),
      ...routes(domainRegistrationApi, domainRegistrationHandlers()),
      ...routes(emailApi, emailHandlers(all)),
      ...routes(handlesApi, handleHandlers(all)),
      ...routes(loginApi, loginHandlers(all)),
      ...routes(passwordApi, passwordHandlers(all)),
      ...routes(selfApi, selfHandlers(all)),
      ...routes(systemApi, systemHandlers(all)),
      ...routes(verificationApi, verificationHandlers()),
    ],
    accounts: {
      checkPassword: (user, password) => credentials.check(user, password),
      revokeCookies: (user, labels) =>
        sessions.revoke(user, ({ label }) => label !== undefined && labels.includes(label)),
      async mailNewDevice({ email, locale, name }, { model, label, createdMs }) {
        if (email === undefined) return
        const device = [model, label].filter((text) => text !== undefined && text !== '').join(', ')
        mails.queueNewDevice({ email, locale }, { name, device, createdMs })
      },
    },
    handles,
    deletion,
    [Symbol.asyncDispose]: () => mails[Symbol.asyncDispose](),
  }
}
