import type { Locale } from '../../../contract/brig/user-fields.ts'
import { english } from './english.ts'

/** A mail in one language, before it is laid out. */
export interface MailText {
  subject: string
  /** Paragraphs above the code or link. */
  before: readonly string[]
  /** On the button that opens the link. */
  action?: string
  /** Paragraphs below. */
  after: readonly string[]
}

/** What brig has to say; one object per language. */
export interface MailTexts {
  activation(facts: { brand: string; code: string }): MailText
  emailChange(facts: { brand: string }): MailText
  passwordReset(facts: { brand: string }): MailText
  deletion(facts: { brand: string; minutes: number }): MailText
  newDevice(facts: { brand: string; name: string; device: string; time: Date }): MailText
  /** Names of the two fields of a mail without link. */
  readonly keyName: string
  readonly codeName: string
}

const byLanguage: Readonly<Record<string, MailTexts>> = { en: english }

/** In the user's language where we have it, else in English. */
export function mailTexts(locale: Locale): MailTexts {
  const language = locale.split('-')[0] ?? ''
  return Object.hasOwn(byLanguage, language) ? (byLanguage[language] ?? english) : english
}
