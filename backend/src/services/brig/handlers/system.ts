import type { systemApi } from '../../../contract/brig/system.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import type { AccountsConfig } from '../config.ts'

export function systemHandlers(deps: {
  config: Pick<AccountsConfig, 'registration' | 'isMlsEnabled'>
}): Handlers<typeof systemApi> {
  const { registration, isMlsEnabled } = deps.config
  const body = { setRestrictUserCreation: !registration.isOpen }
  return {
    getPublicSettings: () => Promise.resolve({ status: 200, body }),
    getSettings: () =>
      Promise.resolve({ status: 200, body: { ...body, setEnableMls: isMlsEnabled } }),
  }
}
