import type { Feature, Features } from '../../../contract/galley/features.ts'

const feature = (status: Feature['status'], lockStatus: Feature['lockStatus']): Feature => ({
  status,
  lockStatus,
})
const on = feature('enabled', 'unlocked')
const off = feature('disabled', 'unlocked')
const lockedOn = feature('enabled', 'locked')
const lockedOff = feature('disabled', 'locked')

const everywhere = { enabled: true, default: 'enabled' } as const

/**
 * What users without a team have (Wire protocol notes §14.3). What this server cannot do yet is off
 * and locked; clients begin to use a feature as soon as they see it enabled.
 */
export function serverFeatures(server: { readonly areGuestLinksEnabled: boolean }): Features {
  return {
    appLock: { ...on, config: { enforceAppLock: false, inactivityTimeoutSecs: 60 } },
    classifiedDomains: { ...off, config: { domains: [] } },
    conferenceCalling: { ...lockedOn, config: { useSFTForOneToOneCalls: false } },
    conversationGuestLinks: server.areGuestLinksEnabled ? on : lockedOff,
    fileSharing: on,
    simplifiedUserConnectionRequestQRCode: on,
    validateSAMLemails: on,
    limitedEventFanout: on,
    digitalSignatures: off,
    sso: off,
    legalhold: off,
    searchVisibility: off,
    searchVisibilityInbound: off,
    selfDeletingMessages: { ...on, config: { enforcedTimeoutSeconds: 0 } },
    sndFactorPasswordChallenge: lockedOff,
    exposeInvitationURLsToTeamAdmin: lockedOff,
    outlookCalIntegration: lockedOff,
    mls: {
      ...off,
      config: {
        protocolToggleUsers: [],
        defaultProtocol: 'proteus',
        allowedCipherSuites: [2],
        defaultCipherSuite: 2,
        supportedProtocols: ['proteus', 'mls'],
        groupInfoDiagnostics: false,
      },
    },
    mlsE2EId: {
      ...lockedOff,
      config: { verificationExpiration: 24 * 60 * 60, useProxyOnMobile: false },
    },
    mlsMigration: { ...lockedOff, config: {} },
    channels: {
      ...lockedOff,
      config: {
        allowed_to_create_channels: 'team-members',
        allowed_to_open_channels: 'team-members',
      },
    },
    enforceFileDownloadLocation: { ...lockedOff, config: {} },
    allowedGlobalOperations: { ...lockedOn, config: { mlsConversationReset: false } },
    cells: {
      ...lockedOff,
      config: {
        channels: everywhere,
        groups: everywhere,
        one2one: everywhere,
        users: { externals: true, guests: false },
        collabora: { enabled: false },
        publicLinks: {
          enableFiles: true,
          enableFolders: true,
          enforcePassword: false,
          enforceExpirationMax: 0,
          enforceExpirationDefault: 0,
        },
        storage: {
          perFileQuotaBytes: '100000000',
          recycle: { autoPurgeDays: 30, disable: false, allowSkip: false },
        },
        metadata: {
          namespaces: { usermetaTags: { defaultValues: [], allowFreeValues: true } },
        },
      },
    },
    cellsInternal: {
      ...lockedOff,
      config: {
        // The shape wants an address; there is nothing behind this one (RFC 2606 §2).
        backend: { url: 'https://cells.invalid' },
        collabora: { edition: 'NO' },
        storage: { perUserQuotaBytes: '0', teamQuotaBytes: 0 },
      },
    },
    domainRegistration: lockedOff,
    assetAuditLog: lockedOff,
    consumableNotifications: lockedOff,
    chatBubbles: lockedOff,
    apps: lockedOff,
    stealthUsers: lockedOff,
    meetings: lockedOff,
    meetingsPremium: lockedOff,
  }
}
