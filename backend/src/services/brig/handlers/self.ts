import { selfErrors } from '../../../contract/brig/self.ts'
import type { selfApi } from '../../../contract/brig/self.ts'
import type { SelfUser } from '../../../contract/brig/self-user.ts'
import type { Handlers } from '../../../contract/endpoint.ts'
import { ApiError, Unavailable } from '../../../contract/error.ts'
import type { Domain, UserId } from '../../../contract/ids.ts'
import type { Announce } from '../announce.ts'
import type { UserEvents } from '../events.ts'
import { requireSelf } from '../require-user.ts'
import { selfUserOf } from '../rules/self-user.ts'
import type { User, UserChanges, UserStore } from '../store/users.ts'

export function selfHandlers(deps: {
  domain: Domain
  users: UserStore
  events: UserEvents
  announce: Announce
}): Handlers<typeof selfApi> {
  const { domain, users, events, announce } = deps

  async function getSelf({
    caller,
  }: {
    caller: { user: UserId }
  }): Promise<{ status: 200; body: SelfUser }> {
    return { status: 200, body: selfUserOf(await requireSelf(users, caller.user), domain) }
  }

  async function change(user: User, changes: UserChanges): Promise<User> {
    const changed = await users.update(user, changes)
    if (changed === undefined) throw new Unavailable('changing a user who just changed')
    return changed
  }

  return {
    getSelfV11: getSelf,
    getSelfV14: getSelf,
    getSelf,

    async updateSelf({ caller, body }) {
      if (Object.values(body).every((value) => value === undefined)) return { status: 200 }
      const { name, accent_id, assets, picture, text_status } = body
      const changed = await change(await requireSelf(users, caller.user), {
        ...(name !== undefined && { name }),
        ...(accent_id !== undefined && { accentId: accent_id }),
        ...(assets !== undefined && { assets }),
        ...(picture !== undefined && { picture }),
        ...(text_status !== undefined && { textStatus: text_status }),
      })
      await announce(changed, body, caller.connection)
      return { status: 200 }
    },

    async changeLocale({ caller, body: { locale } }) {
      const { id } = await change(await requireSelf(users, caller.user), { locale })
      // Nobody else's business.
      await events.publish([
        {
          recipients: [id],
          event: { type: 'user.update', user: { id, locale, sso_id_deleted: false } },
          origin: { user: id, connection: caller.connection },
        },
      ])
      return { status: 200 }
    },

    async changeSupportedProtocols({ caller, body }) {
      const user = await requireSelf(users, caller.user)
      const supportedProtocols = [...new Set(body.supported_protocols)]
      if (user.supportedProtocols.includes('mls') && !supportedProtocols.includes('mls')) {
        throw new ApiError(selfErrors.cannotDropMls)
      }
      const changed = await users.update(user, { supportedProtocols }, ['supportedProtocols'])
      if (changed === undefined) throw new Unavailable('changing a user who just changed')
      await announce(changed, { supported_protocols: supportedProtocols }, caller.connection)
      return { status: 200 }
    },
  }
}
