import { z } from 'zod'
import { between, endpoint, since } from '../endpoint.ts'
import { Domain, Timestamp, UserId } from '../ids.ts'
import { Protocol } from './conversation-fields.ts'

/** A switch of the server or of a team. A locked one cannot be changed by the team. */
export const Feature = z.object({
  status: z.enum(['enabled', 'disabled']),
  lockStatus: z.enum(['locked', 'unlocked']),
})
export type Feature = z.infer<typeof Feature>

const configured = <Shape extends z.ZodRawShape>(shape: Shape) =>
  Feature.extend({ config: z.object(shape) })

const ChannelPermission = z.enum(['team-members', 'everyone', 'admins'])

const mlsConfig = {
  protocolToggleUsers: z.array(UserId),
  defaultProtocol: Protocol,
  /** Numbers of RFC 9420 §17.1. */
  allowedCipherSuites: z.array(z.int()),
  defaultCipherSuite: z.int(),
  supportedProtocols: z.array(Protocol),
}

const CellsProperty = z.object({
  enabled: z.boolean(),
  default: z.enum(['enabled', 'disabled', 'enforced']),
})
const CellsFeature = configured({
  channels: CellsProperty,
  groups: CellsProperty,
  one2one: CellsProperty,
  users: z.object({ externals: z.boolean(), guests: z.boolean() }),
  collabora: z.object({ enabled: z.boolean() }),
  publicLinks: z.object({
    enableFiles: z.boolean(),
    enableFolders: z.boolean(),
    enforcePassword: z.boolean(),
    enforceExpirationMax: z.int(),
    enforceExpirationDefault: z.int(),
  }),
  storage: z.object({
    /** Decimal digits. */
    perFileQuotaBytes: z.string(),
    recycle: z.object({ autoPurgeDays: z.int(), disable: z.boolean(), allowSkip: z.boolean() }),
  }),
  metadata: z.object({
    namespaces: z.object({
      usermetaTags: z.object({ defaultValues: z.array(z.string()), allowFreeValues: z.boolean() }),
    }),
  }),
})
const CellsInternalFeature = configured({
  backend: z.object({ url: z.url() }),
  collabora: z.object({ edition: z.enum(['NO', 'CODE', 'COOL']) }),
  storage: z.object({
    perUserQuotaBytes: z.string(),
    /** What Kalium reads instead; it refuses all features without it. */
    teamQuotaBytes: z.int(),
  }),
})

/** All features that a version knows, no more: some apps fail on a missing one. */
export const FeaturesV8 = z.object({
  appLock: configured({ enforceAppLock: z.boolean(), inactivityTimeoutSecs: z.int32() }),
  cells: Feature,
  channels: configured({
    allowed_to_create_channels: ChannelPermission,
    allowed_to_open_channels: ChannelPermission,
  }),
  classifiedDomains: configured({ domains: z.array(Domain) }),
  conferenceCalling: configured({ useSFTForOneToOneCalls: z.boolean() }),
  conversationGuestLinks: Feature,
  digitalSignatures: Feature,
  domainRegistration: Feature,
  enforceFileDownloadLocation: configured({ enforcedDownloadLocation: z.string().optional() }),
  exposeInvitationURLsToTeamAdmin: Feature,
  fileSharing: Feature,
  legalhold: Feature,
  limitedEventFanout: Feature,
  mls: configured(mlsConfig),
  mlsE2EId: configured({
    verificationExpiration: z.int(),
    acmeDiscoveryUrl: z.url().optional(),
    crlProxy: z.url().optional(),
    useProxyOnMobile: z.boolean().optional(),
  }),
  mlsMigration: configured({
    startTime: Timestamp.optional(),
    finaliseRegardlessAfter: Timestamp.optional(),
  }),
  outlookCalIntegration: Feature,
  searchVisibility: Feature,
  searchVisibilityInbound: Feature,
  selfDeletingMessages: configured({ enforcedTimeoutSeconds: z.int32() }),
  sndFactorPasswordChallenge: Feature,
  sso: Feature,
  validateSAMLemails: Feature,
})
export const FeaturesV10 = FeaturesV8.extend({
  allowedGlobalOperations: configured({ mlsConversationReset: z.boolean() }),
})
export const FeaturesV11 = FeaturesV10.extend({
  apps: Feature,
  chatBubbles: Feature,
  consumableNotifications: Feature,
})
export const FeaturesV12 = FeaturesV11.extend({
  assetAuditLog: Feature,
  simplifiedUserConnectionRequestQRCode: Feature,
  stealthUsers: Feature,
})
export const FeaturesV13 = FeaturesV12.extend({
  mls: configured({ ...mlsConfig, groupInfoDiagnostics: z.boolean() }),
})
export const Features = FeaturesV13.extend({
  cells: CellsFeature,
  cellsInternal: CellsInternalFeature,
  meetings: Feature,
  meetingsPremium: Feature,
})
export type Features = z.infer<typeof Features>

const list = {
  method: 'GET',
  path: '/feature-configs',
  auth: 'user',
  summary: 'The features that the caller has',
  errors: [],
} as const

/** A handler returns the newest shape; an older declaration keeps what its schema names. */
export const featuresApi = {
  listFeaturesV8: endpoint({ ...list, versions: between(8, 9), responses: { 200: FeaturesV8 } }),
  listFeaturesV10: endpoint({
    ...list,
    versions: between(10, 10),
    responses: { 200: FeaturesV10 },
  }),
  listFeaturesV11: endpoint({
    ...list,
    versions: between(11, 11),
    responses: { 200: FeaturesV11 },
  }),
  listFeaturesV12: endpoint({
    ...list,
    versions: between(12, 12),
    responses: { 200: FeaturesV12 },
  }),
  listFeaturesV13: endpoint({
    ...list,
    versions: between(13, 13),
    responses: { 200: FeaturesV13 },
  }),
  listFeatures: endpoint({ ...list, versions: since(14), responses: { 200: Features } }),
}
