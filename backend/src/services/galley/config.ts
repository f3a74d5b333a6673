import { z } from 'zod'
import { Domain } from '../../contract/ids.ts'

const yearSeconds = 365 * 24 * 60 * 60

export const GalleyConfig = z.strictObject({
  maxConversationSize: z
    .int()
    .min(2)
    .max(2000)
    .default(500)
    .describe('Most members of a Proteus conversation'),
  maxBroadcastUsers: z
    .int()
    .min(1)
    .max(2000)
    .default(2000)
    .describe('Most users that one broadcast may go to'),
  guestLinks: z
    .strictObject({
      isEnabled: z
        .boolean()
        .default(true)
        .describe('Whether groups may have links by which outsiders come in'),
      uriPrefix: z
        .url()
        .optional()
        .describe('The page that guest links open; account.<domain> of this backend unless given'),
      ttlSeconds: z
        .int()
        .min(60)
        .max(yearSeconds)
        .default(yearSeconds)
        .describe('How long a guest link is valid'),
    })
    .prefault({}),
  customBackends: z
    .record(Domain, z.strictObject({ configUrl: z.url(), welcomeUrl: z.url() }))
    .default({})
    .describe('By e-mail domain: backends that clients are sent to instead of this one'),
  repeatPushSeconds: z
    .int()
    .min(5)
    .default(5)
    .describe('How long a push is repeated while gundeck does not answer'),
  rememberedMembers: z
    .int()
    .nonnegative()
    .default(200_000)
    .describe('Members of conversations that a galley which is alone keeps in memory'),
  rememberedUsers: z
    .int()
    .nonnegative()
    .default(20_000)
    .describe('Users whose devices a galley which is alone keeps in memory'),
  finishChangesEverySeconds: z
    .int()
    .positive()
    .default(10)
    .describe('How often changes that a crash interrupted are looked for and seen through'),
})
export type GalleyConfig = z.infer<typeof GalleyConfig>
