import type { PropertyKey } from '../../../contract/brig/properties.ts'
import type { UserId } from '../../../contract/ids.ts'
import { of, table } from '../../../ports/wide-column.ts'
import type { WideColumnStore } from '../../../ports/wide-column.ts'

const maxProperties = 16

export const propertiesTable = table({
  name: 'brig_properties',
  partition: { user: of<UserId>()('uuid') },
  cluster: { key: of<PropertyKey>()('text') },
  columns: {
    /** JSON as the client sent it. */
    value: 'text',
  },
})

export interface Property {
  key: PropertyKey
  /** JSON text. */
  value: string
}

export interface PropertyStore {
  list(user: UserId): Promise<Property[]>
  get(user: UserId, key: PropertyKey): Promise<string | undefined>
  set(user: UserId, key: PropertyKey, value: string): Promise<'set' | 'too-many'>
  remove(user: UserId, key: PropertyKey): Promise<void>
  removeAll(user: UserId): Promise<void>
}

export function propertyStore(db: WideColumnStore): PropertyStore {
  async function list(user: UserId): Promise<Property[]> {
    const { rows } = await db.list(propertiesTable, { user })
    return rows.map(({ key, value }) => ({ key, value }))
  }
  async function get(user: UserId, key: PropertyKey): Promise<string | undefined> {
    return (await db.get(propertiesTable, { user, key }))?.value
  }

  return {
    list,
    get,
    async set(user, key, value) {
      const isNew = (await get(user, key)) === undefined
      if (isNew && (await list(user)).length >= maxProperties) return 'too-many'
      await db.put(propertiesTable, { user, key, value })
      // Others may have counted at the same moment: then none of the late ones stays.
      if (!isNew || (await list(user)).length <= maxProperties) return 'set'
      await db.remove(propertiesTable, { user, key })
      return 'too-many'
    },
    remove: (user, key) => db.remove(propertiesTable, { user, key }),
    removeAll: (user) => db.removeRange(propertiesTable, { user }),
  }
}
