import { Action, type ConversationRole } from '../../../contract/galley/conversation-fields.ts'

/** What each role may do (Wire protocol notes §9.3). */
export const actionsOfRole: Readonly<Record<ConversationRole, readonly Action[]>> = {
  wire_admin: Action.options,
  wire_member: ['leave_conversation'],
}

export const canDo = (role: ConversationRole, action: Action): boolean =>
  actionsOfRole[role].includes(action)
