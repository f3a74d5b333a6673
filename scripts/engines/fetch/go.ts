/** Programs built from Go modules; go.sum holds the hash of every module. */
import { join } from 'node:path'
import type { Fetch } from './fetch.ts'
import { runTool } from './tool.ts'

const missing = 'install Go (its version stands in engines/go/*/go.mod)'

export const fetchWithGo: Fetch = async ({ part, lock, folder, signal }) => {
  if (part.from !== 'go') throw new Error('not a part from Go modules')
  for (const [program, source] of Object.entries(part.programs)) {
    await runTool(
      'go',
      [
        'build',
        '-mod=readonly',
        '-trimpath',
        '-buildvcs=false',
        '-ldflags=-s -w',
        '-o',
        join(folder, program),
        source,
      ],
      { cwd: lock, env: { CGO_ENABLED: '0', GOWORK: 'off' }, signal, missing },
    )
  }
}
