import { appendFileSync, mkdirSync } from 'node:fs'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { splitTarget } from '../../backend/src/platform/http/request.ts'
import { checkExchange } from './check.ts'

/** Where the processes of one test run leave what they saw; `report.ts` reads it. */
export const recordsFolder = join(import.meta.dirname, '../../test-results/conformance')

const maxBodyBytes = 1024 * 1024

/** One line per distinct verdict and process. */
export interface ConformanceRecord {
  readonly operation?: string
  readonly version: number
  readonly status: number
  readonly problems: readonly string[]
  /** An excerpt of the reply, where something was wrong. */
  readonly excerpt?: string
}

const seen = new Set<string>()

/** Wraps the listener of a server under test: every reply is checked and noted. */
export function recordConformance(listener: RequestListener): RequestListener {
  return (request, response) => {
    listenIn(request, response)
    listener(request, response)
  }
}

function listenIn(request: IncomingMessage, response: ServerResponse): void {
  const { path } = splitTarget(request.url ?? '/')
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const keep = (chunk: unknown): void => {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return
    const bytes = Buffer.from(chunk as string)
    sizeBytes += bytes.length
    if (sizeBytes <= maxBodyBytes) chunks.push(bytes)
  }
  const write = response.write.bind(response)
  const end = response.end.bind(response)
  response.write = ((...args: Parameters<typeof write>) => {
    keep(args[0])
    return write(...args)
  }) as typeof write
  response.end = ((...args: Parameters<typeof end>) => {
    keep(args[0])
    return end(...args)
  }) as typeof end
  response.on('finish', () => {
    const type = String(response.getHeader('content-type') ?? '')
    const isText = sizeBytes === 0 || type.startsWith('application/json')
    const body = Buffer.concat(chunks).toString('utf8')
    const exchange = {
      method: request.method ?? 'GET',
      path,
      status: response.statusCode,
      headers: response.getHeaders(),
      ...(isText && sizeBytes <= maxBodyBytes ? { body } : {}),
    }
    const { operation, version, problems } = checkExchange(exchange)
    note({
      ...(operation === undefined ? {} : { operation }),
      version,
      status: response.statusCode,
      problems,
      ...(problems.length === 0 ? {} : { excerpt: body.slice(0, 300) }),
    })
  })
}

function note(record: ConformanceRecord): void {
  const { excerpt: _excerpt, ...key } = record
  const text = JSON.stringify(key)
  if (seen.has(text)) return
  seen.add(text)
  mkdirSync(recordsFolder, { recursive: true })
  appendFileSync(join(recordsFolder, `${String(process.pid)}.jsonl`), `${JSON.stringify(record)}\n`)
}
