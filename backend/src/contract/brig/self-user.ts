import { z } from 'zod'
import { QualifiedUserId, TeamId, Timestamp, UserId } from '../ids.ts'
import {
  AccentId,
  AccountStatus,
  BaseProtocol,
  Email,
  Handle,
  Locale,
  ManagedBy,
  Name,
  Picture,
  TextStatus,
  UserAsset,
  UserType,
} from './user-fields.ts'

/** A user as that user sees it. Fields without a value are left out, never null. */
export const SelfUser = z.object({
  id: UserId,
  qualified_id: QualifiedUserId,
  name: Name,
  accent_id: AccentId,
  assets: z.array(UserAsset),
  picture: Picture,
  text_status: TextStatus.optional(),
  locale: Locale,
  handle: Handle.optional(),
  email: Email.optional(),
  email_unvalidated: Email.optional(),
  team: TeamId.optional(),
  status: AccountStatus,
  managed_by: ManagedBy,
  supported_protocols: z.array(BaseProtocol),
  type: UserType,
  searchable: z.boolean(),
  expires_at: Timestamp.optional(),
  deleted: z.boolean().optional(),
})
export type SelfUser = z.infer<typeof SelfUser>

/** `searchable` came with version 12. */
export const SelfUserV11 = SelfUser.omit({ type: true, searchable: true })
/** `type` came with version 15. */
export const SelfUserV14 = SelfUser.omit({ type: true })
