import type { Handlers } from '../../../contract/endpoint.ts'
import type { timeApi } from '../../../contract/gundeck/time.ts'
import { formatTimestamp } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'

export function timeHandlers({ clock }: { clock: Clock }): Handlers<typeof timeApi> {
  return {
    async getServerTime() {
      return { status: 200, body: { time: formatTimestamp(clock.nowMs()) } }
    },
  }
}
