import { z } from 'zod'
import { between, empty, endpoint, since } from '../endpoint.ts'
import { errors } from '../error.ts'
import { SelfUser, SelfUserV11, SelfUserV14 } from './self-user.ts'
import {
  AccentId,
  BaseProtocol,
  Locale,
  Name,
  Picture,
  TextStatus,
  UserAsset,
} from './user-fields.ts'

export const selfErrors = errors({
  cannotDropMls: {
    status: 409,
    label: 'mls-protocol-error',
    message: 'MLS cannot be given up once it was announced',
  },
})

const getSelf = {
  method: 'GET',
  path: '/self',
  auth: 'user',
  summary: 'The caller',
  errors: [],
} as const

export const selfApi = {
  getSelfV11: endpoint({
    ...getSelf,
    versions: between(0, 11),
    responses: { 200: SelfUserV11 },
  }),
  getSelfV14: endpoint({
    ...getSelf,
    versions: between(12, 14),
    responses: { 200: SelfUserV14 },
  }),
  getSelf: endpoint({ ...getSelf, versions: since(15), responses: { 200: SelfUser } }),
  updateSelf: endpoint({
    method: 'PUT',
    path: '/self',
    versions: since(0),
    auth: 'user',
    summary: 'Change what others see of the caller; what is left out stays',
    body: z.object({
      name: Name.optional(),
      accent_id: AccentId.optional(),
      assets: z.array(UserAsset).max(10).optional(),
      picture: Picture.optional(),
      text_status: TextStatus.optional(),
    }),
    responses: { 200: empty },
    errors: [],
  }),
  changeLocale: endpoint({
    method: 'PUT',
    path: '/self/locale',
    versions: since(0),
    auth: 'user',
    summary: 'Change the language of mails',
    body: z.object({ locale: Locale }),
    responses: { 200: empty },
    errors: [],
  }),
  changeSupportedProtocols: endpoint({
    method: 'PUT',
    path: '/self/supported-protocols',
    versions: since(5),
    auth: 'user',
    summary: 'Say which protocols all devices of the caller speak',
    body: z.object({ supported_protocols: z.array(BaseProtocol).min(1) }),
    responses: { 200: empty },
    errors: [selfErrors.cannotDropMls],
  }),
}
