import type { Handlers } from '../../../contract/endpoint.ts'
import type { featuresApi } from '../../../contract/galley/features.ts'
import { serverFeatures } from '../rules/features.ts'

export function featuresHandlers(deps: {
  readonly areGuestLinksEnabled: boolean
}): Handlers<typeof featuresApi> {
  const body = serverFeatures(deps)
  const list = () => Promise.resolve({ status: 200 as const, body })
  return {
    listFeaturesV8: list,
    listFeaturesV10: list,
    listFeaturesV11: list,
    listFeaturesV12: list,
    listFeaturesV13: list,
    listFeatures: list,
  }
}
