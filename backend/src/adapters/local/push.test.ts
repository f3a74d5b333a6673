import { pushContract } from '../../ports/push.contract.ts'
import { noPush } from './push.ts'

pushContract(async () => noPush())
