/** Writes docs/openapi/vN.json from the declarations; `--check` fails when they are not current. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { newestVersion, oldestVersion } from '../backend/src/contract/endpoint.ts'
import { publicApis } from '../backend/src/contract/public.ts'
import { openApiDocument } from '../backend/src/platform/http/openapi.ts'

const folder = new URL('../docs/openapi/', import.meta.url)
const isCheck = process.argv.includes('--check')
await mkdir(folder, { recursive: true })

const stale: string[] = []
for (let version = oldestVersion; version <= newestVersion; version += 1) {
  const file = new URL(`v${String(version)}.json`, folder)
  const text = `${JSON.stringify(openApiDocument(publicApis, version), null, 1)}\n`
  const current = await readFile(file, 'utf8').catch(() => '')
  if (current === text) continue
  stale.push(`docs/openapi/v${String(version)}.json`)
  if (!isCheck) await writeFile(file, text)
}
if (isCheck && stale.length > 0) {
  console.error(`Not current: ${stale.join(', ')}. Run "npm run openapi".`)
  process.exitCode = 1
} else {
  console.log(stale.length === 0 ? 'OpenAPI is current' : `written: ${stale.join(', ')}`)
}
