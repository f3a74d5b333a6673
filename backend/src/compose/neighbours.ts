import { brigInternalApi } from '../contract/brig/internal.ts'
import { deliveriesApi } from '../contract/cannon/internal.ts'
import type { Api, Client } from '../contract/endpoint.ts'
import { galleyInternalApi } from '../contract/galley/internal.ts'
import { attachmentsApi, queueApi } from '../contract/gundeck/attachments.ts'
import { inboxApi, pushApi } from '../contract/gundeck/internal.ts'
import { ringApi } from '../contract/gundeck/ring.ts'
import type { ServiceName } from './config.ts'

/** What services say to one another, by who is spoken to. */
export const internalApis = {
  brig: brigInternalApi,
  galley: galleyInternalApi,
  gundeck: { ...pushApi, ...inboxApi, ...attachmentsApi, ...queueApi, ...ringApi },
  cannon: deliveriesApi,
} as const satisfies Partial<Record<ServiceName, Api>>

type InternalApis = typeof internalApis

/** A client for each service that others talk to. They are bound late: services need one another. */
export type Neighbours = { readonly [K in keyof InternalApis]: Client<InternalApis[K]> }

export function neighbours(
  connect: <A extends Api>(service: keyof InternalApis, api: A) => Client<A>,
): Neighbours {
  return {
    brig: connect('brig', internalApis.brig),
    galley: connect('galley', internalApis.galley),
    gundeck: connect('gundeck', internalApis.gundeck),
    cannon: connect('cannon', internalApis.cannon),
  }
}
