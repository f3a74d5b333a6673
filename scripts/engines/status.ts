/** What runs where, for people and for programs. */
import type { EngineName } from './engine.ts'
import type { RunningEngines } from './start.ts'

export interface StatusLine {
  name: EngineName
  node: number
  address: string
  /** `up` answers; `starting` runs but does not answer. */
  state: 'up' | 'starting' | 'frozen' | 'stopped'
  residentBytes: number
}

export async function statusOf(running: RunningEngines): Promise<StatusLine[]> {
  const nodes = Object.values(running.engines).flatMap((engine) =>
    engine.nodes.map((node) => ({ name: engine.name, node })),
  )
  return Promise.all(
    nodes.map(async ({ name, node }) => {
      const state = await node.state()
      const answer = state === 'running' && (await node.isHealthy()) ? 'up' : 'starting'
      return {
        name,
        node: node.index,
        address: node.address,
        state: state === 'running' ? answer : state,
        residentBytes: await node.residentBytes(),
      }
    }),
  )
}

function megabytes(bytes: number): string {
  return bytes === 0 ? '' : `${String(Math.round(bytes / 1024 / 1024))} MB`
}

export function statusTable(lines: readonly StatusLine[]): string {
  const total = lines.reduce((sum, line) => sum + line.residentBytes, 0)
  const rows = [
    ['NAME', 'NODE', 'ADDRESS', 'STATE', 'MEMORY'],
    ...lines.map((line) => [
      line.name,
      String(line.node),
      line.address,
      line.state,
      megabytes(line.residentBytes),
    ]),
    ['total', '', '', '', megabytes(total)],
  ]
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
