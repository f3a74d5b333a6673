import { describe, expect, it } from 'vitest'
import { Unavailable, UnknownOutcome } from '../contract/error.ts'
import { untilAnswered } from './until-answered.ts'

function outage(failures: readonly Error[]) {
  const left = [...failures]
  const told: string[] = []
  const pauses: number[] = []
  return {
    told,
    pauses,
    work: async () => {
      const failure = left.shift()
      if (failure !== undefined) throw failure
      return 'answer'
    },
    options: {
      clock: {
        sleep: async (ms: number) => {
          pauses.push(ms)
        },
      },
      waiting: ({ message }: Error) => void told.push(message),
    },
  }
}

describe('work that waits for an engine', () => {
  const silence = new Unavailable('nobody is there')
  const doubt = new UnknownOutcome('it may have been done')

  it('is repeated until there is an answer; the first failure is told', async () => {
    const { work, options, told, pauses } = outage([silence, doubt, silence])
    expect(await untilAnswered(work, options)).toBe('answer')
    expect(told).toEqual([silence.message])
    expect(pauses).toEqual([1000, 1000, 1000])
  })

  it('ends with the failure of the last attempt', async () => {
    const { work, options } = outage([silence, doubt, silence])
    await expect(untilAnswered(work, { ...options, attempts: 2 })).rejects.toBe(doubt)
  })

  it('is not repeated after a failure of another kind', async () => {
    const defect = new TypeError('a defect')
    const { work, options, told } = outage([defect])
    await expect(untilAnswered(work, options)).rejects.toBe(defect)
    expect(told).toEqual([])
  })
})
