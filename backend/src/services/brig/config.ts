import { z } from 'zod'
import { Locale } from '../../contract/brig/user-fields.ts'
import { PeopleConfig } from './people-config.ts'

const minuteSeconds = 60
const hourSeconds = 60 * minuteSeconds
const daySeconds = 24 * hourSeconds

const seconds = z.int().positive()

const Rate = z.strictObject({
  perSecond: z.number().positive().describe('Checks a second in the long run'),
  burst: z.int().min(1).describe('Checks at once before the rate counts'),
})

const Link = z
  .string()
  .regex(/\$\{code\}/)
  .describe('An address in which ${key} and ${code} are replaced')

/** The accounts' part of brig's section. */
export const AccountsConfig = z.strictObject({
  registration: z
    .strictObject({
      isOpen: z.boolean().default(true).describe('Whether people can register by themselves'),
      takesGuests: z
        .boolean()
        .default(true)
        .describe('Whether people can join as guests, without an e-mail address'),
      refusedAddresses: z
        .array(z.string().toLowerCase())
        .default([])
        .describe('E-mail addresses that nobody can use'),
      refusedDomains: z
        .array(z.string().toLowerCase())
        .default([])
        .describe('Domains of e-mail addresses that nobody can use'),
      defaultLocale: Locale.default('en' as Locale).describe('Language of those who name none'),
    })
    .prefault({}),
  sessions: z
    .strictObject({
      accessTokenSeconds: seconds.default(15 * minuteSeconds).describe('Life of an access token'),
      persistentCookieSeconds: seconds
        .default(56 * daySeconds)
        .describe('Life of a session on a device that stays'),
      sessionCookieSeconds: seconds
        .default(daySeconds)
        .describe('Life of a session that ends with the browser, and of a guest'),
      renewAfterSeconds: seconds
        .default(14 * daySeconds)
        .describe('Age at which a cookie is replaced, and for how long the old one still works'),
      maxCookies: z.int().min(2).default(32).describe('Sessions of a user, of each kind'),
      churnStdDevSeconds: z
        .number()
        .nonnegative()
        .default(3000)
        .describe('At the limit, log-ins that come more evenly than this are refused'),
      churnWaitSeconds: seconds.default(daySeconds).describe('For how long they are refused'),
      cookieDomain: z
        .string()
        .optional()
        .describe('Domain of the cookie, for browsers; that of the API when absent'),
      isCookieSecure: z.boolean().default(true).describe('Whether browsers need TLS to send it'),
    })
    .prefault({}),
  passwords: z
    .strictObject({
      perUser: Rate.default({ perSecond: 1 / minuteSeconds, burst: 5 }).describe(
        'Passwords checked for one account',
      ),
      perAddress: Rate.default({ perSecond: 1 / (5 * minuteSeconds), burst: 5 }).describe(
        'New passwords from one network address',
      ),
      failedLogins: z
        .strictObject({
          limit: z.int().min(1).describe('Failed log-ins of an account'),
          withinSeconds: seconds.describe('Counted from the first; then the count starts anew'),
        })
        .optional()
        .describe('When given, accounts refuse log-ins for a while after so many failures'),
    })
    .prefault({}),
  codes: z
    .strictObject({
      activationSeconds: seconds.default(14 * daySeconds).describe('Life of an activation code'),
      passwordResetSeconds: seconds.default(hourSeconds).describe('Life of a reset code'),
      deletionSeconds: seconds.default(10 * minuteSeconds).describe('Life of a deletion code'),
      maxTries: z.int().min(1).default(3).describe('Wrong tries after which a code is dead'),
    })
    .prefault({}),
  mails: z
    .strictObject({
      brand: z.string().default('Wire').describe('Name of the app in mails'),
      activationLink: Link.optional(),
      passwordResetLink: Link.optional(),
      deletionLink: Link.optional(),
    })
    .prefault({})
    .describe('Without links the mails carry key and code'),
  isMlsEnabled: z.boolean().default(false).describe('Announced to apps'),
  sweepEverySeconds: seconds
    .default(5 * minuteSeconds)
    .describe('How often guests past their time and unfinished deletions are looked for'),
})
export type AccountsConfig = z.infer<typeof AccountsConfig>

export const BrigConfig = AccountsConfig.extend(PeopleConfig.shape)
export type BrigConfig = z.infer<typeof BrigConfig>
