import { z } from 'zod'

const TurnUri = z
  .string()
  .regex(/^turns?:[^?\s]+:\d{1,5}(\?transport=(udp|tcp))?$/)
  .describe('turn:host:port?transport=udp|tcp, or turns: for TLS')

/** The part of brig's section for devices, connections and calls. */
export const PeopleConfig = z.strictObject({
  maxPermanentClients: z
    .int()
    .min(1)
    .default(7)
    .describe('Devices of a user, besides one temporary device'),
  maxConnections: z
    .int()
    .min(1)
    .default(1000)
    .describe('Connections of a user that are accepted or asked for'),
  turn: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('none') }),
      z.strictObject({
        kind: z.literal('static'),
        uris: z.array(TurnUri).min(1).describe('Relays handed out to those who call'),
        secretFile: z.string().describe('File with the secret that is shared with the relays'),
      }),
    ])
    .default({ kind: 'none' })
    .describe('Relays for calls; without any, calls work only where devices reach one another'),
})
export type PeopleConfig = z.infer<typeof PeopleConfig>
