import { raisedLimits } from '../support/server-process.ts'

/** What the servers of both shapes have switched on, beyond the defaults. */
export const settings = {
  push: { kind: 'noticeboard' },
  cannon: { consumableNotifications: true },
  brig: {
    ...raisedLimits.brig,
    registration: {
      refusedAddresses: ['refused@example.org'],
      refusedDomains: ['refused.example'],
    },
  },
}
