import { describe, expect, it } from 'vitest'
import { BrigConfig } from './config.ts'

describe("brig's section of the configuration", () => {
  it('needs nothing, and then holds what upstream runs with', () => {
    const config = BrigConfig.parse({})
    expect(config.sessions).toMatchObject({
      accessTokenSeconds: 900,
      persistentCookieSeconds: 56 * 86_400,
      sessionCookieSeconds: 86_400,
      renewAfterSeconds: 14 * 86_400,
      maxCookies: 32,
    })
    expect(config.passwords.perAddress).toEqual({ perSecond: 1 / 300, burst: 5 })
    expect(config.passwords.failedLogins).toBeUndefined()
  })

  it('refuses what it does not know, and links without a place for the code', () => {
    expect(BrigConfig.safeParse({ sesions: {} }).success).toBe(false)
    const mails = { activationLink: 'https://example.com/verify' }
    expect(BrigConfig.safeParse({ mails }).success).toBe(false)
  })
})
