import { z } from 'zod'
import { empty, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { ClientId, Timestamp } from '../ids.ts'
import { Password, passwordErrors } from './password.ts'
import { Prekey, PrekeyId } from './prekeys.ts'

export const ClientType = z.enum(['permanent', 'temporary', 'legalhold'])
export type ClientType = z.infer<typeof ClientType>

export const ClientClass = z.enum(['desktop', 'phone', 'tablet', 'legalhold'])
export type ClientClass = z.infer<typeof ClientClass>

export const ClientCapability = z.enum(['legalhold-implicit-consent', 'consumable-notifications'])
export type ClientCapability = z.infer<typeof ClientCapability>

export const SignatureScheme = z.enum([
  'ed25519',
  'ecdsa_secp256r1_sha256',
  'ecdsa_secp384r1_sha384',
  'ecdsa_secp521r1_sha512',
])
/** Base64 by signature scheme; a key is set once and stays. */
export const MlsPublicKeys = z.partialRecord(SignatureScheme, z.base64().min(1).max(1024))
export type MlsPublicKeys = z.infer<typeof MlsPublicKeys>

/** A device as its owner sees it. */
export const RegisteredClient = z.object({
  id: ClientId,
  type: ClientType,
  time: Timestamp,
  class: ClientClass.optional(),
  label: z.string().optional(),
  model: z.string().optional(),
  /** The label of the sessions that end with the device. */
  cookie: z.string().optional(),
  /** In seconds, unlike other times. */
  last_active: z.iso.datetime({ precision: 0 }).optional(),
  capabilities: z.array(ClientCapability),
  mls_public_keys: MlsPublicKeys,
})
export type RegisteredClient = z.infer<typeof RegisteredClient>

export const clientErrors = errors({
  malformedPrekeys: {
    status: 400,
    label: 'bad-request',
    message: 'A prekey is not the bundle that it should be',
  },
  missingAuth: {
    status: 403,
    label: 'missing-auth',
    message: 'The password is needed for this',
  },
  tooManyClients: {
    status: 403,
    label: 'too-many-clients',
    message: 'There are as many devices as one user may have',
  },
  duplicateMlsKey: {
    status: 400,
    label: 'mls-duplicate-public-key',
    message: 'The device already has another MLS key of this scheme',
  },
  capabilityRemoved: {
    status: 409,
    label: 'client-feature-cannot-be-removed',
    message: 'Capabilities of a device can only be added',
  },
  notFound: { status: 404, label: 'client-not-found', message: 'There is no such device' },
})

const params = z.object({ client: ClientId })
const label = z.string().max(1024)
const prekeys = z.array(Prekey)
const lastPrekey = z.object({ id: z.literal(65_535), key: Prekey.shape.key })

export const clientsApi = {
  addClient: endpoint({
    method: 'POST',
    path: '/clients',
    versions: since(0),
    auth: 'user',
    summary: 'Register a device of the caller',
    body: z.object({
      type: ClientType.exclude(['legalhold']),
      prekeys,
      lastkey: lastPrekey,
      class: ClientClass.optional(),
      label: label.optional(),
      model: label.optional(),
      cookie: label.optional(),
      password: Password.optional(),
      capabilities: z.array(ClientCapability).optional(),
      mls_public_keys: MlsPublicKeys.optional(),
    }),
    responses: { 201: RegisteredClient },
    errors: [
      clientErrors.malformedPrekeys,
      clientErrors.missingAuth,
      passwordErrors.isWrong,
      passwordErrors.tooManyChecks,
      clientErrors.tooManyClients,
      clientErrors.duplicateMlsKey,
    ],
  }),
  listClients: endpoint({
    method: 'GET',
    path: '/clients',
    versions: since(0),
    auth: 'user',
    summary: 'All devices of the caller',
    responses: { 200: z.array(RegisteredClient) },
    errors: [],
  }),
  getClient: endpoint({
    method: 'GET',
    path: '/clients/{client}',
    versions: since(0),
    auth: 'user',
    summary: 'A device of the caller',
    params,
    responses: { 200: RegisteredClient },
    errors: [],
  }),
  updateClient: endpoint({
    method: 'PUT',
    path: '/clients/{client}',
    versions: since(0),
    auth: 'user',
    summary: 'Add prekeys, capabilities and MLS keys to a device, or rename it',
    params,
    body: z.object({
      prekeys: prekeys.optional(),
      lastkey: lastPrekey.optional(),
      label: label.optional(),
      capabilities: z.array(ClientCapability).optional(),
      mls_public_keys: MlsPublicKeys.optional(),
    }),
    responses: { 200: empty },
    errors: [
      clientErrors.notFound,
      clientErrors.malformedPrekeys,
      clientErrors.duplicateMlsKey,
      clientErrors.capabilityRemoved,
    ],
  }),
  removeClient: endpoint({
    method: 'DELETE',
    path: '/clients/{client}',
    versions: since(0),
    auth: 'user',
    summary: 'Remove a device of the caller and all that belongs to it',
    params,
    body: z.object({ password: Password.optional() }).optional(),
    responses: { 200: empty },
    errors: [
      clientErrors.notFound,
      clientErrors.missingAuth,
      passwordErrors.isWrong,
      passwordErrors.tooManyChecks,
    ],
  }),
  getClientCapabilities: endpoint({
    method: 'GET',
    path: '/clients/{client}/capabilities',
    versions: since(0),
    auth: 'user',
    summary: 'What a device of the caller has said it can do',
    params,
    responses: { 200: z.array(ClientCapability) },
    errors: [clientErrors.notFound],
  }),
  /** Clients count these to know when to upload more. */
  listClientPrekeys: endpoint({
    method: 'GET',
    path: '/clients/{client}/prekeys',
    versions: since(0),
    auth: 'user',
    summary: 'Numbers of the prekeys that are left of a device of the caller',
    params,
    responses: { 200: z.array(PrekeyId) },
    errors: [],
  }),
  /** `Replay-Nonce`: good for one proof of possession within 300 seconds (RFC 9449 §8). */
  headClientNonce: endpoint({
    method: 'HEAD',
    path: '/clients/{client}/nonce',
    versions: since(0),
    auth: 'user',
    summary: 'A new nonce for a device of the caller',
    params,
    responses: { 200: empty },
    errors: [],
  }),
  getClientNonce: endpoint({
    method: 'GET',
    path: '/clients/{client}/nonce',
    versions: since(0),
    auth: 'user',
    summary: 'A new nonce for a device of the caller',
    params,
    responses: { 204: empty },
    errors: [],
  }),
}
