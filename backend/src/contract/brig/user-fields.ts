import { z } from 'zod'

/*
 * The parts that users are made of, shared by the self object, profiles and events. Shapes that a
 * caller may get wrong in ways with labels of their own (e-mail, handle) are plain strings in bodies
 * and checked by the handler.
 */

/** Code points: what other clients count, not UTF-16 units. */
const characterCount = (text: string): number => [...text].length

export const Name = z
  .string()
  .refine((text) => characterCount(text) >= 1 && characterCount(text) <= 128, {
    error: 'must have 1 to 128 characters',
  })

export const AccentId = z.int32()

export const UserAsset = z.object({
  /** Of a public asset: `3-<retention>-<uuid>`. */
  key: z.string().regex(/^3-[1-5]-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  size: z.enum(['preview', 'complete']).optional(),
  type: z.literal('image'),
})
export type UserAsset = z.infer<typeof UserAsset>

/** What came before assets; kept because old apps still send and read it. */
export const Picture = z.array(z.record(z.string(), z.unknown())).max(10)
export type Picture = z.infer<typeof Picture>

export const TextStatus = z.string().min(1).max(256)

/** Chosen by the user, unique on this backend. */
export const Handle = z
  .string()
  .regex(/^[a-z0-9_.-]{2,256}$/)
  .brand<'Handle'>()
export type Handle = z.infer<typeof Handle>

/** As the user wrote it; two addresses are the same when their lower-case forms are. */
export const Email = z.string().brand<'Email'>()
export type Email = z.infer<typeof Email>

/** A language and perhaps a country: `en`, `pt-BR`. */
export const Locale = z
  .string()
  .regex(/^[A-Za-z]{2}([-_][A-Za-z]{2})?$/)
  .transform((text) => {
    const [language = '', country] = text.split(/[-_]/)
    return country === undefined
      ? language.toLowerCase()
      : `${language.toLowerCase()}-${country.toUpperCase()}`
  })
  .pipe(z.string().brand<'Locale'>())
export type Locale = z.infer<typeof Locale>

export const BaseProtocol = z.enum(['proteus', 'mls'])
export type BaseProtocol = z.infer<typeof BaseProtocol>

export const ManagedBy = z.enum(['wire', 'scim'])
export type ManagedBy = z.infer<typeof ManagedBy>

export const AccountStatus = z.enum([
  'active',
  'suspended',
  'deleted',
  'ephemeral',
  'pending-invitation',
])
export type AccountStatus = z.infer<typeof AccountStatus>

export const UserType = z.enum(['regular', 'app', 'bot'])
export type UserType = z.infer<typeof UserType>
