import { ConversationEvent } from '../../backend/src/contract/events/conversation.ts'
import { UserEvent } from '../../backend/src/contract/events/user.ts'

/** What is wrong with an event as a client got it. */
export function eventProblems(event: { readonly type: string }): string[] {
  const declared = event.type.startsWith('conversation.') ? ConversationEvent : UserEvent
  const { error } = declared.safeParse(event)
  return (error?.issues ?? []).map(
    ({ path, message }) => `${event.type} ${path.map(String).join('/')}: ${message}`,
  )
}
