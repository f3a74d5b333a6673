import { z } from 'zod'
import { isNetwork } from '../../platform/http/networks.ts'

const Network = z.string().refine(isNetwork, { error: 'expected an address or a network (CIDR)' })

const Limit = z
  .object({
    perSecond: z.number().positive().describe('Requests a second in the long run'),
    burst: z.int().min(1).describe('Requests at once before the rate counts'),
  })
  .strict()

export const NginzConfig = z
  .object({
    origins: z
      .array(z.url())
      .default([])
      .describe('Web pages that may call the API from a browser: exact origins'),
    trustedProxies: z
      .array(Network)
      .default([])
      .describe('Addresses or networks (CIDR) whose X-Forwarded-For is believed'),
    limits: z
      .object({
        user: Limit.default({ perSecond: 30, burst: 20 }).describe('Per user'),
        address: Limit.default({ perSecond: 0.25, burst: 10 }).describe(
          'Per address and path, for calls without a token',
        ),
        login: Limit.default({ perSecond: 0.25, burst: 10 }).describe('Log-ins, per address'),
        register: Limit.default({ perSecond: 0.1, burst: 10 }).describe(
          'Registrations, per address',
        ),
        codes: Limit.default({ perSecond: 0.1, burst: 10 }).describe(
          'Codes asked for or tried, per address',
        ),
        exempt: z
          .array(Network)
          .default([])
          .describe('Addresses or networks (CIDR) that are not limited'),
      })
      .strict()
      .prefault({})
      .describe('Over a limit the answer is 420 with Retry-After'),
  })
  .strict()
export type NginzConfig = z.infer<typeof NginzConfig>
