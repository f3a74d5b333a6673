import { errors } from '../error.ts'

/** Everything that galley's endpoints refuse; each names the ones it can answer. */
export const conversationErrors = errors({
  noConversation: {
    status: 404,
    label: 'no-conversation',
    message: 'There is no such conversation, or you are not in it',
  },
  noMember: {
    status: 404,
    label: 'no-conversation-member',
    message: 'That user is not in the conversation',
  },
  accessDenied: {
    status: 403,
    label: 'access-denied',
    message: 'You have no access to this conversation',
  },
  /** The message is replaced by one that names the missing action. */
  actionDenied: {
    status: 403,
    label: 'action-denied',
    message: 'Your role does not allow this',
  },
  invalidOperation: {
    status: 403,
    label: 'invalid-op',
    message: 'This cannot be done with this conversation',
  },
  operationDenied: {
    status: 403,
    label: 'operation-denied',
    message: 'You may not do this',
  },
  notConnected: {
    status: 403,
    label: 'not-connected',
    message: 'You are not connected to all of these users',
  },
  noTeamMember: {
    status: 403,
    label: 'no-team-member',
    message: 'Only members of the team can do this',
  },
  tooManyMembers: {
    status: 403,
    label: 'too-many-members',
    message: 'The conversation has no room for so many members',
  },
  mlsNotEnabled: {
    status: 400,
    label: 'mls-not-enabled',
    message: 'MLS is not enabled on this server',
  },
  nonEmptyMemberList: {
    status: 400,
    label: 'non-empty-member-list',
    message: 'Members of an MLS group are added by its first commit',
  },
  historyNotSupported: {
    status: 400,
    label: 'history-not-supported',
    message: 'This kind of conversation cannot share its history',
  },
  unknownClient: {
    status: 403,
    label: 'unknown-client',
    message: 'The sending device is not one of yours',
  },
  tooManyToBroadcast: {
    status: 400,
    label: 'too-many-users-to-broadcast',
    message: 'A broadcast cannot go to so many users',
  },
  guestLinksDisabled: {
    status: 409,
    label: 'guest-links-disabled',
    message: 'Guest links are switched off',
  },
  noCode: {
    status: 404,
    label: 'no-conversation-code',
    message: 'There is no such guest link',
  },
  codeConflict: {
    status: 409,
    label: 'create-conv-code-conflict',
    message: 'The conversation has a guest link already, and one of both has a password',
  },
  invalidPassword: {
    status: 403,
    label: 'invalid-conversation-password',
    message: 'The password of the guest link is missing or wrong',
  },
  noCustomBackend: {
    status: 404,
    label: 'custom-backend-not-found',
    message: 'No other backend is known for this domain',
  },
})
