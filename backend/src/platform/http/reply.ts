import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { z } from 'zod'
import type { ReplyHeaders, Response } from '../../contract/endpoint.ts'
import { ApiError, Unavailable, kitErrors } from '../../contract/error.ts'
import { dropRest } from './linger.ts'

/** A reply of ours that is not what the declaration says: a defect. */
export class WrongReply extends Error {
  constructor(sentence: string, options: { cause?: unknown } = {}) {
    super(sentence, options)
    this.name = 'WrongReply'
  }
}

export interface OutgoingReply {
  readonly status: number
  readonly body?: unknown
  readonly headers?: ReplyHeaders
}

/** Checks the reply against its declaration and sends it. */
export async function sendReply(
  response: ServerResponse,
  declared: Readonly<Record<number, Response>>,
  reply: OutgoingReply,
  isHead: boolean,
): Promise<void> {
  const shape = declared[reply.status]
  if (shape === undefined) throw new WrongReply(`status ${String(reply.status)} is not declared`)
  if (shape instanceof z.ZodType) {
    const parsed = shape.safeParse(reply.body)
    if (!parsed.success) {
      throw new WrongReply(`the body is not as declared: ${describe(parsed.error)}`)
    }
    sendText(response, reply.status, 'application/json', JSON.stringify(parsed.data), reply.headers)
    return
  }
  switch (shape.kind) {
    case 'empty':
      setHeaders(response, reply.headers)
      if (reply.status !== 204 && !isHead) response.setHeader('content-length', 0)
      response.writeHead(reply.status)
      response.end()
      return
    case 'json-text':
      sendText(response, reply.status, 'application/json', String(reply.body), reply.headers)
      return
    case 'bytes': {
      const bytes = reply.body as Uint8Array
      setHeaders(response, reply.headers)
      response.setHeader('content-type', shape.type)
      response.setHeader('content-length', bytes.length)
      response.writeHead(reply.status)
      response.end(bytes)
      return
    }
    case 'stream':
      setHeaders(response, reply.headers)
      if (!response.hasHeader('content-type')) response.setHeader('content-type', shape.type)
      response.writeHead(reply.status)
      if (isHead) {
        await (reply.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]().return?.()
        response.end()
        return
      }
      // A caller that goes away in the middle is not our failure.
      await pipeline(
        Readable.from(reply.body as AsyncIterable<Uint8Array>, { objectMode: false }),
        response,
      ).catch(() => response.destroy())
  }
}

/** Sends any error: declared ones as declared, the rest as 503 or 500 without detail. */
export function sendError(response: ServerResponse, error: unknown): ApiError {
  const known = toApiError(error)
  if (response.headersSent) {
    response.destroy()
    return known
  }
  for (const name of response.getHeaderNames()) {
    if (name === 'set-cookie' || name.startsWith('content-')) response.removeHeader(name)
  }
  if (known.details.retryAfterSeconds !== undefined) {
    response.setHeader('retry-after', Math.max(1, Math.ceil(known.details.retryAfterSeconds)))
  }
  // Wire's client waits and tries again only if the body is not an error's; else it gives up.
  const isEmpty = known.declaration === kitErrors.tooManyRequests
  const text = isEmpty ? '' : JSON.stringify(known.body())
  if (!isEmpty) response.setHeader('content-type', 'application/json')
  response.setHeader('content-length', Buffer.byteLength(text))
  const isWhole = response.req.complete
  if (!isWhole) response.setHeader('connection', 'close')
  response.writeHead(known.declaration.status)
  if (isWhole) {
    response.end(text)
  } else {
    response.write(text)
    dropRest(response.req, () => response.end())
  }
  return known
}

export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof Unavailable) {
    return new ApiError(kitErrors.unavailable, {
      retryAfterSeconds: error.retryAfterSeconds,
      cause: error,
    })
  }
  return new ApiError(kitErrors.defect, { cause: error })
}

/** More than any path of ours needs; names of members come from the caller. */
const longestSentence = 300

/** The first problem of a failed parse, with its path, as a sentence. */
export function describe(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'not valid'
  const path = issue.path.map(String).join('.')
  const sentence = path === '' ? issue.message : `${path}: ${issue.message}`
  if (sentence.length <= longestSentence) return sentence
  return `${sentence.slice(0, longestSentence).toWellFormed()}...`
}

function setHeaders(response: ServerResponse, headers: ReplyHeaders | undefined): void {
  if (headers === undefined) return
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
}

function sendText(
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
  headers?: ReplyHeaders,
): void {
  setHeaders(response, headers)
  response.setHeader('content-type', type)
  response.setHeader('content-length', Buffer.byteLength(text))
  response.writeHead(status)
  response.end(text)
}
