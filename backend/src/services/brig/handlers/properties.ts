import {
  maxPropertyKeyLength,
  maxPropertyValueBytes,
  propertyErrors,
  type propertiesApi,
} from '../../../contract/brig/properties.ts'
import type { Handlers, UserCaller } from '../../../contract/endpoint.ts'
import { ApiError, kitErrors } from '../../../contract/error.ts'
import type { UserEvent } from '../../../contract/events/user.ts'
import type { UserEvents } from '../events.ts'
import type { PropertyStore } from '../store/properties.ts'

/** Settings that clients keep here for the user's other devices; the server reads none of them. */
export function propertyHandlers(deps: {
  properties: PropertyStore
  events: UserEvents
}): Handlers<typeof propertiesApi> {
  const { properties, events } = deps

  async function tell({ user, connection }: UserCaller, event: UserEvent): Promise<void> {
    await events.publish([{ recipients: [user], event, origin: { user, connection } }])
  }

  return {
    async listPropertyKeys({ caller }) {
      const all = await properties.list(caller.user)
      return { status: 200, body: all.map(({ key }) => key) }
    },
    async clearProperties({ caller }) {
      await properties.removeAll(caller.user)
      await tell(caller, { type: 'user.properties-clear' })
      return { status: 200 }
    },
    async listProperties({ caller }) {
      const all = await properties.list(caller.user)
      const members = all.map(({ key, value }) => `${JSON.stringify(key)}:${value}`)
      return { status: 200, body: `{${members.join(',')}}` }
    },
    async getProperty({ caller, params }) {
      const value = await properties.get(caller.user, params.key)
      if (value === undefined) throw new ApiError(kitErrors.notFound)
      return { status: 200, body: value }
    },
    async setProperty({ caller, params: { key }, body }) {
      if (key.length > maxPropertyKeyLength) throw new ApiError(propertyErrors.keyTooLarge)
      if (Buffer.byteLength(body) > maxPropertyValueBytes) {
        throw new ApiError(propertyErrors.valueTooLarge)
      }
      if ((await properties.set(caller.user, key, body)) === 'too-many') {
        throw new ApiError(propertyErrors.tooMany)
      }
      await tell(caller, { type: 'user.properties-set', key, value: JSON.parse(body) as unknown })
      return { status: 200 }
    },
    async removeProperty({ caller, params: { key } }) {
      await properties.remove(caller.user, key)
      await tell(caller, { type: 'user.properties-delete', key })
      return { status: 200 }
    },
  }
}
