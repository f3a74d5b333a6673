import { z } from 'zod'
import { between, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { Domain, QualifiedUserId, TeamId, UserId } from '../ids.ts'
import { AccentId, Handle, UserType } from './user-fields.ts'

const Contact = z.object({
  id: UserId,
  qualified_id: QualifiedUserId,
  name: z.string(),
  handle: Handle.optional(),
  accent_id: AccentId.optional(),
  team: TeamId.optional(),
  type: UserType,
})
const ContactV14 = Contact.omit({ type: true })
/** Fields of team members that versions 12 and 13 demand of everybody. */
const ContactV13 = z.object({
  ...ContactV14.shape,
  searchable: z.boolean(),
  user_groups: z.array(z.guid()),
})

const searchReply = <Document extends z.ZodType>(document: Document) =>
  z.object({
    documents: z.array(document),
    /** Hits in all, which may be an estimate. */
    found: z.int(),
    returned: z.int(),
    /** Milliseconds. */
    took: z.int(),
    search_policy: z.enum(['no_search', 'exact_handle_search', 'full_search']),
  })

export const searchErrors = errors({
  insufficientPermissions: {
    status: 403,
    label: 'insufficient-permissions',
    message: 'Guests cannot search for users',
  },
})

const query = z.object({
  q: z.string().max(4096),
  domain: Domain.optional(),
  size: z.coerce.number().int().min(1).max(500).default(15),
})

const searchContacts = {
  method: 'GET',
  path: '/search/contacts',
  auth: 'user',
  summary: 'Find users by name or handle',
  errors: [searchErrors.insufficientPermissions],
} as const

export const searchApi = {
  searchContactsV11: endpoint({
    ...searchContacts,
    versions: between(0, 11),
    query,
    responses: { 200: searchReply(ContactV14) },
  }),
  searchContactsV13: endpoint({
    ...searchContacts,
    versions: between(12, 13),
    query,
    responses: { 200: searchReply(ContactV13) },
  }),
  searchContactsV14: endpoint({
    ...searchContacts,
    versions: between(14, 14),
    query,
    responses: { 200: searchReply(ContactV14) },
  }),
  searchContacts: endpoint({
    ...searchContacts,
    versions: since(15),
    query: z.object({
      ...query.shape,
      /** Several with commas; all when empty. */
      type: z
        .string()
        .regex(/^((regular|app)(,(regular|app))*)?$/)
        .optional(),
    }),
    responses: { 200: searchReply(Contact) },
  }),
}
