import { z } from 'zod'

export const CannonConfig = z
  .object({
    largestSockets: z
      .int()
      .min(1)
      .default(200_000)
      .describe('Sockets at the same time; more are refused with 503'),
    pingSeconds: z
      .int()
      .min(1)
      .default(20)
      .describe('A silent socket is pinged so often, and closed after two pings without an answer'),
    longestSocketSeconds: z
      .int()
      .min(60)
      .default(3 * 24 * 60 * 60)
      .describe('Sockets are closed at this age; clients come back at once'),
    consumableNotifications: z
      .boolean()
      .default(false)
      .describe('Whether /events answers: queues of clients that acknowledge'),
    drain: z
      .object({
        graceSeconds: z
          .number()
          .positive()
          .default(25)
          .describe('Closing all sockets is spread over so long'),
        batchMs: z.int().min(1).default(50).describe('Pause between batches of closes'),
        smallestBatch: z.int().min(1).default(20).describe('Closes in a batch, at least'),
      })
      .strict()
      .prefault({})
      .describe('How clients are sent away when cannon stops'),
  })
  .strict()
export type CannonConfig = z.infer<typeof CannonConfig>
