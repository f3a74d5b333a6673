import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { QualifiedConversation } from './conversations.ts'
import { conversationErrors } from './errors.ts'

export const typingApi = {
  setTyping: endpoint({
    method: 'POST',
    path: '/conversations/{domain}/{conversation}/typing',
    versions: since(0),
    auth: 'user',
    summary: 'Show the other members that the caller is writing',
    params: QualifiedConversation,
    body: z.object({ status: z.enum(['started', 'stopped']) }),
    responses: { 200: empty },
    errors: [conversationErrors.noConversation],
  }),
}
