import type { TestProject } from 'vitest/node'

import { startSplitProcesses } from '../support/split-processes.ts'
import { settings } from './settings.ts'

/** Where clients find a server. */
export interface Backend {
  readonly url: string
  /** Where sockets go, when not to the same port. */
  readonly ws?: string
  readonly mailboxUrl: string
  /** Where it shows whom native push would wake, when it is set up so. */
  readonly noticeboardUrl?: string
}

declare module 'vitest' {
  interface ProvidedContext {
    split: Backend | { readonly failure: string }
    /** Instead of the shapes above. */
    engines: Backend | undefined
  }
}

/** One process per service for all scenarios together: starting them takes longer than most. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  try {
    const split = await startSplitProcesses(settings, { isChecked: true })
    const { url, ws, mailboxUrl, noticeboardUrl } = split
    project.provide('split', { url, ws, mailboxUrl, noticeboardUrl })
    return async () => split[Symbol.asyncDispose]()
  } catch (error) {
    // What does not need these processes is tested all the same.
    project.provide('split', { failure: String(error) })
    return async () => undefined
  }
}
