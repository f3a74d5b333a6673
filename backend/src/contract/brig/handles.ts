import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { emailErrors } from './email.ts'
import { Handle } from './user-fields.ts'

export const handleErrors = errors({
  invalid: { status: 400, label: 'invalid-handle', message: 'That cannot be a handle' },
  taken: { status: 409, label: 'handle-exists', message: 'That handle is already in use' },
})

export const handlesApi = {
  checkHandle: endpoint({
    method: 'HEAD',
    path: '/handles/{handle}',
    versions: since(7),
    auth: 'user',
    summary: 'Whether a handle is taken (200) or free (404)',
    params: z.object({ handle: z.string() }),
    responses: { 200: empty, 404: empty },
    errors: [handleErrors.invalid],
  }),
  checkHandles: endpoint({
    method: 'POST',
    path: '/handles',
    versions: since(7),
    auth: 'user',
    summary: 'Those of some handles that are free, in the order given',
    body: z.object({
      handles: z.array(z.string()).min(1).max(50),
      /** So many are enough. */
      return: z.int().min(1).max(10),
    }),
    responses: { 200: z.array(Handle) },
    errors: [],
  }),
  changeHandle: endpoint({
    method: 'PUT',
    path: '/self/handle',
    versions: since(0),
    auth: 'user',
    summary: 'Claim a handle for the caller',
    body: z.object({ handle: z.string() }),
    responses: { 200: empty },
    errors: [handleErrors.invalid, handleErrors.taken, emailErrors.noIdentity],
  }),
}
