/**
 * Checks who imports whom (the rules stand in docs/decisions/001-layers.md): prints every import
 * that crosses a border and fails if there is one.
 */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const root = 'backend/src/'
const relayRoot = 'turn/src/'
/** The one file of the relay that a service may import. */
const credentials = 'turn/src/credentials.ts'
const layers = ['contract', 'ports', 'platform', 'adapters', 'services', 'compose', 'cli'] as const
type Layer = (typeof layers)[number]

const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  contract: [],
  ports: ['contract'],
  platform: ['contract', 'ports'],
  adapters: ['contract', 'ports', 'platform'],
  services: ['contract', 'ports', 'platform'],
  compose: layers,
  cli: layers,
}
/** A browser must be able to load the contract. */
const contractPackages = new Set([
  'zod',
  'protobufjs',
  'protobufjs/light.js',
  'protobufjs/minimal.js',
])

const importLine =
  /^\s*(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/gm

function layerOf(file: string): Layer | undefined {
  const [first = ''] = file.slice(root.length).split('/')
  return layers.find((layer) => layer === first)
}

function problemOf(file: string, target: string): string | undefined {
  const from = layerOf(file)
  const isTest = /\.(test|contract)\.ts$/.test(file) || /\/(testing|test-[^/]*)/.test(file)
  if (from === undefined || isTest) return undefined
  if (!target.startsWith('.')) {
    return from === 'contract' && !contractPackages.has(target)
      ? 'the contract imports only zod and the protobuf codec'
      : undefined
  }
  const path = normalize(join(dirname(file), target))
  if (path === credentials && from === 'services') return undefined
  if (!path.startsWith(root)) return 'an import leaves the backend'
  if (!path.endsWith('.ts')) return 'an import carries its .ts'
  const to = layerOf(path)
  if (to === undefined) return `only main.mjs stands above the layers`
  if (from !== to) {
    return mayImport[from].includes(to) ? undefined : `${from} must not import ${to}`
  }
  if (from !== 'services') return undefined
  const [, ownService] = file.slice(root.length).split('/')
  const [, otherService] = path.slice(root.length).split('/')
  return ownService === otherService ? undefined : 'a service must not import another service'
}

/** The relay stands alone; what brig issues credentials with stands on node:crypto alone. */
function problemOfRelay(file: string, target: string): string | undefined {
  if (file === credentials && target !== 'node:crypto') {
    return 'the credentials import only node:crypto'
  }
  if (!target.startsWith('.')) return undefined
  const path = normalize(join(dirname(file), target))
  if (!path.startsWith(relayRoot)) return 'an import leaves the relay'
  return path.endsWith('.ts') ? undefined : 'an import carries its .ts'
}

const problems: string[] = []
const files = [...globSync(`${root}**/*.ts`), ...globSync(`${relayRoot}**/*.ts`)]
for (const file of files) {
  for (const match of readFileSync(file, 'utf8').matchAll(importLine)) {
    const target = match[1] ?? match[2] ?? match[3] ?? ''
    const problem = file.startsWith(relayRoot)
      ? problemOfRelay(file, target)
      : problemOf(file, target)
    if (problem !== undefined) problems.push(`${file}: imports ${target}: ${problem}`)
  }
}
for (const problem of problems) console.error(problem)
console.log(`imports: ${String(files.length)} files, ${String(problems.length)} problems`)
if (files.length === 0 || problems.length > 0) process.exitCode = 1
