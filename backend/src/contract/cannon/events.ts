import { z } from 'zod'
import { since, socketEndpoint } from '../endpoint.ts'
import { ClientId } from '../ids.ts'

/**
 * The queue of a client that acknowledges what it has seen (`EventsFrame`, `EventsReply`). Without
 * `client` only what comes from now on.
 */
export const eventsSocket = socketEndpoint({
  path: '/events',
  versions: since(8),
  summary: "A client's queue, with acknowledgements",
  query: z.object({
    client: ClientId.optional(),
    /** Comes back in the queue's order, behind everything that waited at connect time; v9 on. */
    sync_marker: z.string().min(1).max(256).optional(),
  }),
  errors: [],
})
