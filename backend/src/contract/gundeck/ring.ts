import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import type { UserId } from '../ids.ts'

/** Inboxes are owned in so many parts. */
export const shardCount = 64

/** By the last six bits of the id's first word, which are random in every user id. */
export const shardOf = (user: UserId): number => Number.parseInt(user.slice(6, 8), 16) % shardCount

/** Rises whenever a shard changes its owner. */
export const RingVersion = z.int().nonnegative()
export type RingVersion = z.infer<typeof RingVersion>

export const ringErrors = errors({
  wrongOwner: {
    status: 421,
    label: 'wrong-owner',
    message: 'Another process owns this inbox',
  },
})

export const RingMap = z.object({
  version: RingVersion,
  /** `id`: one start of one gundeck. */
  owners: z.array(z.object({ id: z.string(), address: z.string() })),
  /** By shard, an index into `owners`; -1 while nobody owns it. */
  shards: z.array(z.int()).length(shardCount),
})
export type RingMap = z.infer<typeof RingMap>

export const ringApi = {
  /** As this process knows it, or newer than `after` if it can find that in the store. */
  getRing: endpoint({
    method: 'POST',
    path: '/i/ring',
    versions: since(0),
    auth: 'internal',
    summary: 'Who owns which inboxes',
    body: z.object({
      /** The caller knows this version already. */
      after: RingVersion.optional(),
    }),
    responses: { 200: RingMap },
    errors: [],
  }),
}
