import { fakeClock } from '../../platform/fake-clock.ts'
import { presenceContract } from '../../ports/presence.contract.ts'
import { memoryPresence } from './presence.ts'

const clock = fakeClock()
presenceContract(
  () => Promise.resolve(memoryPresence(clock)),
  (seconds) => clock.advance(seconds * 1000),
)
