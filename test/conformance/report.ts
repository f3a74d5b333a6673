/** Prints operations covered, missing and wrong in the last test run; fails if any was wrong. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { newestVersion, oldestVersion } from '../../backend/src/contract/endpoint.ts'
import { publicApis } from '../../backend/src/contract/public.ts'
import { loadVersion } from './check.ts'
import { isYetToSucceed, shapeOf } from './operations.ts'
import { recordsFolder, type ConformanceRecord } from './recorder.ts'

function readRecords(): ConformanceRecord[] {
  let files: string[]
  try {
    files = readdirSync(recordsFolder)
  } catch {
    return []
  }
  return files.flatMap((file) =>
    readFileSync(join(recordsFolder, file), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as ConformanceRecord),
  )
}

const records = readRecords()
const covered = new Set(
  records
    .filter(({ operation, status }) => operation !== undefined && status < 400)
    .map(({ operation, version }) => `v${String(version)} ${shapeOf(operation ?? '')}`),
)
const coveredAnyVersion = new Set([...covered].map((key) => key.replace(/^v\d+ /, '')))

const ours = new Set<string>()
const unknown = new Set<string>()
for (let version = oldestVersion; version <= newestVersion; version += 1) {
  const upstream = new Set(loadVersion(version).operations.map(shapeOf))
  for (const { method, path, versions, auth } of Object.values(publicApis)
    .flat()
    .flatMap((api) => Object.values(api))) {
    if (auth === 'internal' || version < versions.first || version > versions.last) continue
    const operation = shapeOf(`${method} ${path}`)
    ours.add(operation)
    if (!upstream.has(operation)) unknown.add(`v${String(version)} ${operation}`)
  }
}
const missing = [...ours]
  .filter((operation) => !coveredAnyVersion.has(operation) && !isYetToSucceed(operation))
  .toSorted()
const wrong = new Map<string, ConformanceRecord>()
for (const record of records) {
  for (const problem of record.problems) {
    wrong.set(`${record.operation ?? 'unknown'} ${String(record.status)}: ${problem}`, record)
  }
}

for (const [text, record] of wrong) {
  console.log(`wrong   v${String(record.version)} ${text}\n        ${record.excerpt ?? ''}`)
}
for (const operation of missing) console.log(`missing ${operation}: no test saw it succeed`)
for (const operation of unknown) console.log(`unknown ${operation}: upstream has no such operation`)
console.log(
  `conformance: ${String(ours.size - missing.length)} of ${String(ours.size)} operations covered, ` +
    `${String(missing.length)} missing, ${String(wrong.size)} wrong, in ${String(covered.size)} combinations with versions`,
)
if (wrong.size > 0 || missing.length > 0 || unknown.size > 0 || records.length === 0) {
  process.exitCode = 1
}
