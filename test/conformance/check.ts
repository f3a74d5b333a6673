import { readFileSync } from 'node:fs'
import { Ajv, type ValidateFunction } from 'ajv'
import createRouter, { type HTTPMethod } from 'find-my-way'
import { newestVersion, oldestVersion } from '../../backend/src/contract/endpoint.ts'
import { kitErrors } from '../../backend/src/contract/error.ts'

/** One request and its reply, as seen at the edge. */
export interface Exchange {
  readonly method: string
  /** With version prefix, without query. */
  readonly path: string
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  /** The reply's body as text; absent when it was not text or too large to look at. */
  readonly body?: string
}

export interface Verdict {
  /** `POST /conversations` as the documents name it; absent for paths they do not know. */
  readonly operation?: string
  readonly version: number
  readonly problems: readonly string[]
}

type Json = Record<string, unknown>
interface ResponseShape {
  readonly schema?: Json
  readonly headers?: readonly string[]
  readonly labels?: readonly string[]
  readonly type?: string
}
interface Document {
  readonly operations: Readonly<
    Record<string, { responses: Readonly<Record<string, ResponseShape>> }>
  >
  readonly schemas: Readonly<Record<string, Json>>
}

interface LoadedVersion {
  find(method: string, path: string): string | undefined
  responses(operation: string): Readonly<Record<string, ResponseShape>>
  validate(operation: string, status: string): ValidateFunction | undefined
  readonly operations: readonly string[]
}

const loaded = new Map<number, LoadedVersion>()

/** Objects whose empty members are sent as explicit `null`. */
const isConversation = (name: string): boolean =>
  /^(Own|CreateGroup)?Conversation(V\d+)?$/.test(name) ||
  name === 'Member' ||
  name === 'OtherMember'

/** Shapes that the documents state wrongly. */
const corrected: Readonly<Record<string, Json>> = {
  // A device that does not exist has null in place of a prekey: clients learn from it.
  UserClientPrekeyMap: {
    type: 'object',
    additionalProperties: {
      type: 'object',
      additionalProperties: {
        anyOf: [{ type: 'object', required: ['id', 'key'] }, { type: 'null' }],
      },
    },
  },
}

export function loadVersion(version: number): LoadedVersion {
  const known = loaded.get(version)
  if (known !== undefined) return known
  const file = new URL(`api/v${String(version)}.json`, import.meta.url)
  const { operations, schemas } = JSON.parse(readFileSync(file, 'utf8')) as Document
  const router = createRouter({ maxParamLength: 4096 })
  for (const operation of Object.keys(operations)) {
    const [method = '', path = ''] = operation.split(' ')
    router.on(
      method as HTTPMethod,
      path.replaceAll(/\{([^}]+)\}/g, (_, name: string) => `:${name.replaceAll(/\W/g, '_')}`),
      () => undefined,
      operation,
    )
  }
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false })
  ajv.addSchema({
    $id: 'api',
    $defs: Object.fromEntries(
      Object.entries(schemas).map(([name, schema]) => [
        name,
        rewrite(amended(name, corrected[name] ?? schema)),
      ]),
    ),
  })
  const validators = new Map<string, ValidateFunction | undefined>()
  const version_: LoadedVersion = {
    operations: Object.keys(operations),
    find(method, path) {
      return router.find(method as HTTPMethod, path)?.store as string | undefined
    },
    responses: (operation) => operations[operation]?.responses ?? {},
    validate(operation, status) {
      const key = `${operation} ${status}`
      if (!validators.has(key)) {
        const schema = operations[operation]?.responses[status]?.schema
        validators.set(key, schema === undefined ? undefined : ajv.compile(rewrite(schema) as Json))
      }
      return validators.get(key)
    },
  }
  loaded.set(version, version_)
  return version_
}

/** `{$ref: "#Name"}` of the documents in the form that a JSON Schema validator reads. */
function rewrite(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(rewrite)
  if (typeof schema !== 'object' || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) =>
      key === '$ref' && typeof value === 'string'
        ? [key, `api#/$defs/${value.slice(1)}`]
        : [key, rewrite(value)],
    ),
  )
}

/** The documents flatten unions into one object that has the keys of all members. */
const mlsKeys = new Set(['group_id', 'epoch', 'epoch_timestamp', 'cipher_suite'])

function amended(name: string, schema: Json): Json {
  if (isConversation(name)) return withNulls(schema)
  // Which of its keys are there follows from the kind of redirect.
  if (name.startsWith('DomainRedirectResponse')) return { ...schema, required: ['domain_redirect'] }
  // What an event holds follows from its type; `contract/events` declares it.
  if (name !== 'Event') return schema
  return { ...schema, properties: { ...(schema['properties'] as Json), data: {} } }
}

function withNulls(schema: Json): Json {
  const properties = (schema['properties'] ?? {}) as Record<string, Json>
  const required = (schema['required'] ?? []) as string[]
  return {
    ...schema,
    required: required.filter((key) => !mlsKeys.has(key)),
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [
        name,
        { anyOf: [property, { type: 'null' }] },
      ]),
    ),
  }
}

/**
 * Every pair of status and label that the documents or the kit know. The documents name labels
 * operation by operation, but not all of them, so a label counts as declared if any operation of
 * any version has it.
 */
function knownLabels(): ReadonlySet<string> {
  labels ??= new Set([
    ...Object.values(kitErrors).map((e) => `${String(e.status)} ${e.label}`),
    ...undocumentedLabels,
    ...Array.from({ length: newestVersion - oldestVersion + 1 }, (_, i) =>
      loadVersion(oldestVersion + i),
    ).flatMap((document) =>
      document.operations.flatMap((operation) =>
        Object.entries(document.responses(operation)).flatMap(([status, shape]) =>
          (shape.labels ?? []).map((label) => `${status} ${label}`),
        ),
      ),
    ),
  ])
  return labels
}
/** Labels that upstream answers and its clients act on, but that its documents leave out. */
const undocumentedLabels = [
  '400 invalid-handle',
  '403 client-error',
  '403 property-key-too-large',
  '403 property-value-too-large',
  '403 same-binding-team-users',
  '403 too-many-properties',
  '409 client-feature-cannot-be-removed',
  '409 handle-exists',
  '429 client-error',
]
let labels: ReadonlySet<string> | undefined

export function checkExchange(exchange: Exchange): Verdict {
  // What browsers ask before they call belongs to no operation.
  if (exchange.method === 'OPTIONS') return { version: oldestVersion, problems: [] }
  const match = /^\/v(\d+)(\/.*)$/.exec(exchange.path)
  const path = match?.[2] ?? exchange.path
  // Each document lists the versions of its own day; the newest one knows all of ours.
  const isVersionList = path === '/api-version'
  const version = isVersionList ? newestVersion : match === null ? 8 : Number(match[1])
  if (version < 8 || version > 15) return { version, problems: [] }
  const document = loadVersion(version)
  const operation = document.find(exchange.method, path)
  if (operation === undefined) {
    // What answers GET answers HEAD.
    if (exchange.method === 'HEAD' && document.find('GET', path)) return { version, problems: [] }
    const problems =
      exchange.status < 400 ? [`${exchange.method} ${path} is not an operation of v${version}`] : []
    return { version, problems }
  }
  return { operation, version, problems: problemsOf(document, operation, exchange) }
}

function problemsOf(document: LoadedVersion, operation: string, exchange: Exchange): string[] {
  const status = String(exchange.status)
  const shape = document.responses(operation)[status]
  const body = parse(exchange.body)
  if (exchange.status >= 400) return errorProblems(operation, exchange, shape, body)
  if (shape === undefined) return [`status ${status} is not one of the operation's`]
  const problems: string[] = []
  for (const header of shape.headers ?? []) {
    // A cookie is only sent when it was renewed.
    if (header !== 'Set-Cookie' && exchange.headers[header.toLowerCase()] === undefined) {
      problems.push(`header ${header} is missing`)
    }
  }
  const validate = document.validate(operation, status)
  if (validate !== undefined && exchange.body !== undefined && exchange.method !== 'HEAD') {
    const isEmptyByKind = exchange.body === '' && status === '204'
    if (!isEmptyByKind && !validate(body)) {
      for (const error of validate.errors ?? []) {
        problems.push(`${error.instancePath || 'body'} ${error.message ?? 'is wrong'}`)
      }
    }
  }
  return problems
}

function errorProblems(
  operation: string,
  exchange: Exchange,
  shape: ResponseShape | undefined,
  body: unknown,
): string[] {
  if (exchange.method === 'HEAD' || exchange.body === undefined) return []
  // Upstream's come from its gateway, and Wire's clients wait only if they are not errors of the API.
  if (exchange.status === 420) return exchange.body === '' ? [] : ['a body']
  // A few errors have bodies of their own, such as the mismatch of a Proteus send.
  if (shape?.schema !== undefined && shape.labels === undefined) return []
  if (typeof body !== 'object' || body === null) return ['an error must be a JSON object']
  const { code, label, message } = body as Json
  const problems: string[] = []
  if (code !== exchange.status) problems.push(`code ${String(code)} is not the status`)
  if (typeof message !== 'string' || message === '') problems.push('the message is empty')
  if (typeof label !== 'string' || label === '') return [...problems, 'the label is empty']
  if (exchange.status >= 500 && exchange.status !== 503) {
    problems.push(`${operation} failed: ${String(exchange.status)} ${label}`)
  }
  if (!knownLabels().has(`${String(exchange.status)} ${label}`))
    problems.push(`label ${String(exchange.status)} ${label} is not declared upstream`)
  return problems
}

function parse(body: string | undefined): unknown {
  if (body === undefined || body === '') return undefined
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
