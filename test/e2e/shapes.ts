import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject } from 'vitest'

import { eventProblems } from '../conformance/events.ts'
import { startTestServer } from '../support/server.ts'
import { castOn, type Cast, type ClientKind, type Person } from '../support/wire/cast.ts'
import type { Mailbox } from '../support/wire/mailbox.ts'
import { rawClient, type RawClient, type RawClientOptions } from '../support/wire/raw.ts'
import { settings } from './settings.ts'
import type { Backend } from './split-setup.ts'

export type Shape = 'embedded' | 'split' | 'engines'

/** What a scenario is played on; its people leave when it ends. */
export interface Stage<Server extends Backend = Backend> {
  readonly shape: Shape
  readonly person: Cast['person']
  /** A client of nobody yet. */
  readonly stranger: (options?: Omit<RawClientOptions, 'ws'>) => RawClient
  readonly mailbox: () => Mailbox
  readonly backend: () => Server
}

type Backends<Server> = Readonly<
  Record<'embedded' | 'split', () => Promise<Server & AsyncDisposable>>
>

/** Next to nothing: hundreds of people register. The processes of the other shape take it in full. */
const passwordCost = { memoryKib: 8, passes: 1, lanes: 1 }

/** A server of each file's own in one process, and the processes that all files share. */
const usualBackends: Backends<Backend> = {
  embedded: () => startTestServer(settings, { passwordCost }),
  split: findSplit,
}

/**
 * Declares the scenarios twice: on the whole backend in one process, and on one process per service.
 * After each, everything that people heard is held against the shapes of events.
 */
export function inBothShapes(scenarios: (stage: Stage) => void): void {
  const engines = inject('engines')
  if (engines === undefined) {
    inBothShapesOf(usualBackends, scenarios)
    return
  }
  // `npm run test:engines`: only there, on the processes that its set-up has started.
  describe('engines', () => {
    const found = { ...engines, [Symbol.asyncDispose]: async () => undefined }
    playOn('engines', async () => found, scenarios)
  })
}

/** The same on servers of the file's own. */
export function inBothShapesOf<Server extends Backend>(
  backends: Backends<Server>,
  scenarios: (stage: Stage<Server>) => void,
): void {
  describe.each(['embedded', 'split'] as const)('%s', (shape) => {
    playOn(shape, backends[shape], scenarios)
  })
}

async function findSplit(): Promise<Backend & AsyncDisposable> {
  const split = inject('split')
  if ('failure' in split) throw new Error(split.failure)
  return { ...split, [Symbol.asyncDispose]: async () => undefined }
}

function playOn<Server extends Backend>(
  shape: Shape,
  start: () => Promise<Server & AsyncDisposable>,
  scenarios: (stage: Stage<Server>) => void,
): void {
  let backend: Server & AsyncDisposable
  let cast: Cast
  let people: Person[]

  beforeAll(async () => {
    backend = await start()
  })
  afterAll(() => backend[Symbol.asyncDispose]())
  beforeEach(() => {
    cast = castOn(backend)
    people = []
  })
  afterEach(async () => {
    await cast[Symbol.asyncDispose]()
    expect(people.flatMap((person) => person.heard()).flatMap(eventProblems)).toEqual([])
  })

  scenarios({
    shape,
    async person<Kind extends ClientKind = 'raw'>(...args: Parameters<typeof cast.person<Kind>>) {
      const person = await cast.person<Kind>(...args)
      people.push(person)
      return person
    },
    stranger: (options) =>
      rawClient(backend.url, { ...options, ...(backend.ws !== undefined && { ws: backend.ws }) }),
    mailbox: () => cast.mailbox,
    backend: () => backend,
  })
}
