import { setTimeout as sleep } from 'node:timers/promises'

import { serviceNames } from '../../backend/src/compose/config.ts'
import { startSplitProcesses } from '../support/split-processes.ts'
import { gatherCrowd, within } from './crowd.ts'
import { recordHistory } from './history.ts'
import { randomNumbers } from './random.ts'
import { serverConfig } from './storm.ts'
import { judge, keep } from './verdict.ts'

type ServiceName = (typeof serviceNames)[number]

export interface Death {
  readonly service: ServiceName
  /** After the death before has been repaired. */
  readonly afterMs: number
}

/** The same with one process per service, of which one after another is killed and comes back. */
export async function surviveSplit(seed: number, deaths: readonly Death[]): Promise<string[]> {
  const recorder = recordHistory()
  const { record, entries } = recorder
  try {
    await using servers = await startSplitProcesses(serverConfig)
    record({ kind: 'server-started', clockOffsetMs: 0 })
    await using crowd = gatherCrowd(recorder, randomNumbers(seed))
    const { devices } = await crowd.begin(servers)
    for (const [index, { service, afterMs }] of deaths.entries()) {
      await sleep(afterMs)
      if (index === deaths.length - 1) {
        // Sockets that outlive the last death have to show everything that comes after it.
        crowd.sitDown()
        await within(10_000, 'everybody is online', () => devices.every((each) => each.isOnline))
      }
      servers.processes[service].kill('SIGKILL')
      await servers.processes[service].exit
      record({ kind: 'server-ended', how: 'killed', service })
      await servers.restart(service)
      record({ kind: 'server-started', clockOffsetMs: 0 })
    }
    await crowd.comeToRest()
    const killed = serviceNames.map(
      (name) => `${name} ${deaths.filter(({ service }) => service === name).length}`,
    )
    return await judge(entries, crowd.frameFaults, [`seed ${seed}, killed ${killed.join(', ')}`])
  } catch (error) {
    const file = await keep(entries)
    throw new Error(`${String(error)}\nseed ${seed}, history in ${file}`, { cause: error })
  }
}
