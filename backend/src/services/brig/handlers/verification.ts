import type { verificationApi } from '../../../contract/brig/verification.ts'
import type { Handlers } from '../../../contract/endpoint.ts'

/** Nobody has the second factor switched on yet, so there is nothing to send. */
export function verificationHandlers(): Handlers<typeof verificationApi> {
  return { sendVerificationCode: () => Promise.resolve({ status: 200 }) }
}
