import { z } from 'zod'

export const GundeckConfig = z
  .object({
    instance: z
      .string()
      .min(1)
      .max(64)
      .default('gundeck')
      .describe('Name of this instance in the ring of inbox owners; keeps it over restarts'),
    waitingPerInbox: z
      .int()
      .min(1)
      .default(2000)
      .describe('Notifications that may wait to be stored in one inbox; beyond, 503'),
    waitingBytes: z
      .int()
      .min(1024 * 1024)
      .default(64 * 1024 * 1024)
      .describe('Bytes that may wait to be stored in all inboxes together; beyond, 503'),
    inFlight: z.int().min(1).default(1024).describe('Inboxes that are written at the same time'),
    appendTimeoutSeconds: z
      .number()
      .positive()
      .default(10)
      .describe('How long a sender waits for the store before it is told 503'),
  })
  .strict()
export type GundeckConfig = z.infer<typeof GundeckConfig>
