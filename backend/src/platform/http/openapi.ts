import { z } from 'zod'
import type { Api, EndpointDeclaration, Response } from '../../contract/endpoint.ts'
import { ErrorBody, type ErrorDeclaration } from '../../contract/error.ts'

type Json = Record<string, unknown>

const schemaOf = (shape: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(shape, {
    io,
    unrepresentable: 'any',
    reused: 'inline',
  }) as Json
  return schema
}

/** The OpenAPI 3.1 document of one API version, from the declarations alone. */
export function openApiDocument(
  apis: Readonly<Record<string, readonly Api[]>>,
  version: number,
): Json {
  const paths: Record<string, Json> = {}
  for (const [tag, list] of Object.entries(apis)) {
    for (const [name, endpoint] of list.flatMap((api) => Object.entries(api))) {
      const { first, last } = endpoint.versions
      if (endpoint.auth === 'internal' || version < first || version > last) continue
      const path = (paths[endpoint.path] ??= {})
      path[endpoint.method.toLowerCase()] = operation(tag, name, endpoint)
    }
  }
  const sorted = Object.fromEntries(
    Object.entries(paths).toSorted(([a], [b]) => (a < b ? -1 : Number(a > b))),
  )
  return {
    openapi: '3.1.0',
    info: { title: 'Tricord', version: `v${String(version)}` },
    servers: [{ url: `/v${String(version)}` }],
    paths: sorted,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: schemaOf(ErrorBody, 'output') },
    },
  }
}

function operation(tag: string, name: string, endpoint: EndpointDeclaration): Json {
  return {
    operationId: name,
    tags: [tag],
    summary: endpoint.summary,
    ...(endpoint.auth === 'user' ? { security: [{ token: [] }] } : {}),
    parameters: [
      ...parameters('path', endpoint.params),
      ...parameters('query', endpoint.query),
      ...parameters('header', endpoint.headers),
    ],
    ...(endpoint.body === undefined ? {} : { requestBody: { content: bodyContent(endpoint) } }),
    responses: { ...successes(endpoint), ...failures(endpoint.errors) },
  }
}

function parameters(place: 'path' | 'query' | 'header', shape: z.ZodType | undefined): Json[] {
  if (shape === undefined) return []
  const schema = schemaOf(shape, 'input') as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    in: place,
    name,
    required: schema.required?.includes(name) ?? false,
    schema: property,
  }))
}

function bodyContent(endpoint: EndpointDeclaration): Json {
  const { body } = endpoint
  if (body === undefined) return {}
  if (body instanceof z.ZodType) return { 'application/json': { schema: schemaOf(body, 'input') } }
  if (body.kind === 'json-text') return { 'application/json': { schema: {} } }
  return Object.fromEntries(
    body.types.filter((type) => type !== '').map((type) => [type, { schema: {} }]),
  )
}

function successes(endpoint: EndpointDeclaration): Json {
  return Object.fromEntries(
    Object.entries(endpoint.responses).map(([status, response]) => [
      status,
      { description: endpoint.summary, ...responseContent(response) },
    ]),
  )
}

function responseContent(response: Response): Json {
  if (response instanceof z.ZodType) {
    return { content: { 'application/json': { schema: schemaOf(response, 'output') } } }
  }
  switch (response.kind) {
    case 'empty':
      return {}
    case 'json-text':
      return { content: { 'application/json': { schema: {} } } }
    case 'stream':
    case 'bytes':
      return { content: { [response.type]: { schema: {} } } }
  }
}

function failures(errors: readonly ErrorDeclaration[]): Json {
  const byStatus = new Map<number, ErrorDeclaration[]>()
  for (const error of errors) {
    byStatus.set(error.status, [...(byStatus.get(error.status) ?? []), error])
  }
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      String(status),
      {
        description: list.map(({ label, message }) => `\`${label}\`: ${message}`).join('; '),
        content: {
          'application/json': {
            schema: {
              allOf: [
                { $ref: '#/components/schemas/Error' },
                { properties: { label: { enum: list.map(({ label }) => label) } } },
              ],
            },
          },
        },
      },
    ]),
  )
}
