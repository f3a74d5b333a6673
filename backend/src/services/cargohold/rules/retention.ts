import type { AssetKey, Retention } from '../../../contract/cargohold/assets.ts'

const daySeconds = 24 * 60 * 60

interface RetentionRule {
  readonly retention: Retention
  /** As it stands in the asset's key. */
  readonly digit: string
  readonly lifetimeSeconds: number | undefined
}

const rules: readonly RetentionRule[] = [
  { retention: 'eternal', digit: '1', lifetimeSeconds: undefined },
  { retention: 'persistent', digit: '2', lifetimeSeconds: undefined },
  { retention: 'volatile', digit: '3', lifetimeSeconds: 28 * daySeconds },
  { retention: 'eternal-infrequent_access', digit: '4', lifetimeSeconds: undefined },
  { retention: 'expiring', digit: '5', lifetimeSeconds: 365 * daySeconds },
]

function ruleWhere(isWanted: (rule: RetentionRule) => boolean): RetentionRule {
  const rule = rules.find(isWanted)
  if (rule === undefined) throw new Error('no such retention')
  return rule
}

export function assetKey(retention: Retention, uuid: string): AssetKey {
  return `3-${ruleWhere((rule) => rule.retention === retention).digit}-${uuid}` as AssetKey
}

/** Where the content lies: `v3/<retention>/<uuid>`, so that lifecycle rules can go by prefix. */
export function objectKey(key: AssetKey): string {
  const { retention } = ruleWhere((rule) => rule.digit === key[2])
  return `v3/${retention}/${key.slice(4)}`
}

export function lifetimeSeconds(retention: Retention): number | undefined {
  return ruleWhere((rule) => rule.retention === retention).lifetimeSeconds
}

/** The prefixes whose objects do not live for ever. */
export const expiringPrefixes: readonly { prefix: string; lifetimeSeconds: number }[] =
  rules.flatMap(({ retention, lifetimeSeconds: seconds }) =>
    seconds === undefined ? [] : [{ prefix: `v3/${retention}/`, lifetimeSeconds: seconds }],
  )
