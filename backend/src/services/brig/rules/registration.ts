import type { ClientCapability, ClientType, MlsPublicKeys } from '../../../contract/brig/clients.ts'
import type { ClientId } from '../../../contract/ids.ts'

interface Device {
  id: ClientId
  type: ClientType
}

export interface Registration<D extends Device> {
  /** The same device, registered before: it is replaced in place. */
  previous: D | undefined
  /** Devices that have to go first: of temporary ones there is one. */
  replaced: D[]
  /** Whoever has a device of the kind must show that it is them who add another. */
  needsPassword: boolean
  isTooMany: boolean
}

/** What registering a device means for those that the user has. */
export function planRegistration<D extends Device>(
  existing: readonly D[],
  device: Device,
  maxPermanentClients: number,
): Registration<D> {
  const previous = existing.find(({ id }) => id === device.id)
  const ofKind = existing.filter(({ type }) => type === device.type)
  const isKnown = previous?.type === device.type
  return {
    previous,
    replaced: device.type === 'temporary' ? ofKind.filter(({ id }) => id !== device.id) : [],
    needsPassword: ofKind.length > 0 && !isKnown,
    isTooMany: device.type === 'permanent' && !isKnown && ofKind.length >= maxPermanentClients,
  }
}

/** `duplicate`: a scheme has another key already. The same key again is fine: clients repeat it. */
export function addMlsPublicKeys(
  existing: MlsPublicKeys,
  added: MlsPublicKeys,
): MlsPublicKeys | 'duplicate' {
  const all = { ...existing, ...added }
  const isKept = Object.entries(existing).every(
    ([scheme, key]) => all[scheme as keyof MlsPublicKeys] === key,
  )
  return isKept ? all : 'duplicate'
}

/** `removed`: one that the device had is missing in what it says now. */
export function setCapabilities(
  existing: readonly ClientCapability[],
  wanted: readonly ClientCapability[],
): ClientCapability[] | 'removed' {
  const all = new Set(wanted)
  return existing.every((capability) => all.has(capability)) ? [...all] : 'removed'
}
