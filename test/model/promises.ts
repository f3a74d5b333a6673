import type { State } from './state.ts'

export type Check = (state: State) => string | undefined

/**
 * What must hold in every state. A check says what is wrong, or nothing. D1 to D9 are the promises of
 * the architecture, `claim` is the sentence that the others follow from.
 */
export const promises = {
  claim: ({ answers, rows, instances }) => {
    for (const { row } of answers) {
      if (
        rows.some(({ id, request, isLate }) => id === row.id && request === row.request && isLate)
      ) {
        return `${row.id} is acknowledged, but landed after a successor gave out an id`
      }
      for (const later of instances.flatMap(({ batches }) => batches)) {
        if (later.row.epoch > row.epoch && later.row.id <= row.id) {
          return `${row.id} is acknowledged, and a successor gave out ${later.row.id}`
        }
      }
    }
    return undefined
  },

  d1: ({ answers, rows }) => {
    const isStored = ({ row }: (typeof answers)[number]): boolean =>
      rows.some(({ id, request }) => id === row.id && request === row.request)
    const missing = answers.find((given) => !isStored(given))
    return missing && `${missing.row.id} is acknowledged, but not in the store`
  },

  d2: ({ answers }) => {
    const wrong = answers.find(({ isBelowEarlier }) => isBelowEarlier)
    return wrong && `${wrong.row.id} lies below what was acknowledged before its append began`
  },

  d3: ({ answers, seen }) => {
    const since = seen.at(-1) ?? 0
    const missed = answers.find(({ row }) => row.id < since && !seen.includes(row.id))
    return missed && `the client resumes after ${since} and never sees ${missed.row.id}`
  },

  d4: ({ socket }) =>
    socket?.hasRepeated === true ? 'a socket was sent an id that it had passed' : undefined,

  /**
   * A row that was acknowledged is not stored again by the tenure that holds it or by the next.
   * Nobody promises that for a row which is not acknowledged, or after two moves.
   */
  d9: ({ answers, instances }) => {
    const batches = instances.flatMap((instance) => instance.batches)
    for (const { row } of answers) {
      const again = batches.find(
        (batch) =>
          batch.row.request === row.request &&
          batch.row.id !== row.id &&
          (batch.row.epoch === row.epoch || batch.row.epoch === row.epoch + 1),
      )
      if (again)
        return `${row.id} is acknowledged, and its request is stored again as ${again.row.id}`
    }
    return undefined
  },

  oneRowPerId: ({ rows }) => {
    const twice = rows.find(({ id }, at) => rows[at + 1]?.id === id)
    return twice && `two rows have the id ${twice.id}`
  },
} as const satisfies Record<string, Check>

export type PromiseName = keyof typeof promises

/**
 * What is not promised, though one might expect it: both come from rows that an owner leaves behind
 * when it loses the shard. They stay readable, below everything that is acknowledged later.
 */
export const limits = {
  orderOfRowsLeftBehind: ({ rows, begun }) => {
    const early = rows.find(({ id, request }) => id < (begun[request - 1] ?? 0))
    return early && `a page shows ${early.id} before what was acknowledged before its append began`
  },

  oneRowPerRequest: ({ rows }) => {
    const again = rows.find((row, at) =>
      rows.some(({ request }, other) => other < at && request === row.request),
    )
    return again && `a page shows request ${again.request} twice`
  },
} as const satisfies Record<string, Check>
