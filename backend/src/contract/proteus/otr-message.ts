import { z } from 'zod'
import { MalformedBody } from '../endpoint.ts'
import { ClientId, Domain, UserId } from '../ids.ts'
import type { QualifiedUserId } from '../ids.ts'
import { ProtobufReader, bytesField, varintField } from './protobuf-reader.ts'

/*
 * Proteus messages as clients send them: `proto/otr.proto` of Wire's protocol-messaging, proto2.
 */

/** A ciphertext for each device of each user. */
export type UserTexts = Map<UserId, Map<ClientId, Uint8Array>>
export type QualifiedTexts = Map<Domain, UserTexts>

interface OtrMessageOf<Texts> {
  readonly sender: ClientId
  readonly recipients: Texts
  /** Whether phones without a socket are to be woken. */
  readonly nativePush: boolean
  readonly nativePriority?: 'low' | 'high'
  /** A ciphertext for all, next to the key in each one's own. */
  readonly data?: Uint8Array
  /** Deliver to sockets only, store nothing. */
  readonly transient: boolean
}

/** Whose missing devices make a message fail: see `report` and `ignore` in Wire's documentation. */
export type MismatchStrategy =
  | { readonly kind: 'report-all' | 'ignore-all' }
  | { readonly kind: 'report-only' | 'ignore-only'; readonly users: readonly QualifiedUserId[] }

/** `QualifiedNewOtrMessage`. */
export interface OtrMessage extends OtrMessageOf<QualifiedTexts> {
  readonly strategy: MismatchStrategy
}

/** `NewOtrMessage`, which names users of this backend only. */
export interface UnqualifiedOtrMessage extends OtrMessageOf<UserTexts> {
  /** Report the missing devices of these users only; absent means that the query decides. */
  readonly reportMissing?: readonly UserId[]
}

/**
 * How many values a message may hold. Naming a device takes four, eight bytes together, and costs
 * hundreds once it is decoded, so the size of a body bounds neither memory nor time. The largest
 * conversation, 2000 members with eight devices each, takes 70 000.
 */
const maxValues = 100_000

/**
 * Decodes a `QualifiedNewOtrMessage`. Ciphertexts are views into the body.
 *
 * @throws MalformedBody for anything else. Nothing may come twice: of two texts for one device, one
 *   would be lost unseen.
 */
export function decodeOtrMessage(body: Uint8Array): OtrMessage {
  const reader = new ProtobufReader(body, maxValues)
  const recipients: QualifiedTexts = new Map()
  const common: CommonFields = {}
  let strategy: MismatchStrategy | undefined
  for (const tag of reader.fields()) {
    const kind = strategyOfTag.get(tag)
    if (kind !== undefined) strategy = once('strategy', strategy, readStrategy(reader, kind))
    else if (tag === bytesField(2)) readDomain(reader, recipients)
    else readCommonField(reader, tag, common)
  }
  return { ...completed(common), recipients, strategy: required('strategy', strategy) }
}

/**
 * Decodes the older `NewOtrMessage`, from JSON or, for any other type, from protobuf.
 *
 * @throws MalformedBody
 */
export function decodeUnqualifiedOtrMessage(body: Uint8Array, type: string): UnqualifiedOtrMessage {
  if (type === 'application/json') return decodeJson(body)
  const reader = new ProtobufReader(body, maxValues)
  const recipients: UserTexts = new Map()
  const common: CommonFields = {}
  const reportMissing: UserId[] = []
  for (const tag of reader.fields()) {
    if (tag === bytesField(2)) readUser(reader, recipients)
    else if (tag === bytesField(7)) {
      reportMissing.push(readUserId(reader))
    } else readCommonField(reader, tag, common)
  }
  const message = { ...completed(common), recipients }
  return reportMissing.length === 0 ? message : { ...message, reportMissing }
}

type CommonFields = {
  -readonly [Key in Exclude<keyof OtrMessageOf<unknown>, 'recipients'>]?: OtrMessageOf<unknown>[Key]
}

function readCommonField(reader: ProtobufReader, tag: number, fields: CommonFields): void {
  switch (tag) {
    case bytesField(1):
      fields.sender = once('sender', fields.sender, readClientId(reader))
      return
    case varintField(3):
      fields.nativePush = once('native_push', fields.nativePush, reader.bool())
      return
    case bytesField(4):
      fields.data = once('blob', fields.data, reader.bytes())
      return
    case varintField(5): {
      const priority = reader.enum()
      // In proto2 a number that the enum does not have counts as an unknown field.
      if (priority !== 1 && priority !== 2) return
      const name = priority === 1 ? 'low' : 'high'
      fields.nativePriority = once('native_priority', fields.nativePriority, name)
      return
    }
    case varintField(6):
      fields.transient = once('transient', fields.transient, reader.bool())
      return
    default:
      reader.skip(tag)
  }
}

function completed(fields: CommonFields) {
  const { sender, nativePush = true, transient = false, ...optional } = fields
  return { sender: required('sender', sender), nativePush, transient, ...optional }
}

function readDomain(reader: ProtobufReader, recipients: QualifiedTexts): void {
  let domain: Domain | undefined
  const users: UserTexts = new Map()
  for (const tag of reader.nested()) {
    if (tag === bytesField(1)) domain = once('domain', domain, readDomainName(reader))
    else if (tag === bytesField(2)) readUser(reader, users)
    else reader.skip(tag)
  }
  addOnce(recipients, required('domain', domain), users)
}

function readUser(reader: ProtobufReader, users: UserTexts): void {
  let user: UserId | undefined
  const texts = new Map<ClientId, Uint8Array>()
  for (const tag of reader.nested()) {
    if (tag === bytesField(1)) user = once('user', user, readUserId(reader))
    else if (tag === bytesField(2)) readClient(reader, texts)
    else reader.skip(tag)
  }
  addOnce(users, required('user', user), texts)
}

function readClient(reader: ProtobufReader, texts: Map<ClientId, Uint8Array>): void {
  let client: ClientId | undefined
  let text: Uint8Array | undefined
  for (const tag of reader.nested()) {
    if (tag === bytesField(1)) client = once('client', client, readClientId(reader))
    else if (tag === bytesField(2)) text = once('text', text, reader.bytes())
    else reader.skip(tag)
  }
  addOnce(texts, required('client', client), required('text', text))
}

function readUserId(reader: ProtobufReader): UserId {
  let uuid: string | undefined
  for (const tag of reader.nested()) {
    if (tag === bytesField(1)) uuid = once('uuid', uuid, reader.uuid())
    else reader.skip(tag)
  }
  return required('uuid', uuid) as UserId
}

function readClientId(reader: ProtobufReader): ClientId {
  let client: string | undefined
  for (const tag of reader.nested()) {
    if (tag === varintField(1)) client = once('client', client, reader.hex64())
    else reader.skip(tag)
  }
  return required('client', client) as ClientId
}

const strategyOfTag = new Map<number, MismatchStrategy['kind']>([
  [bytesField(7), 'report-all'],
  [bytesField(8), 'ignore-all'],
  [bytesField(9), 'report-only'],
  [bytesField(10), 'ignore-only'],
])

function readStrategy(reader: ProtobufReader, kind: MismatchStrategy['kind']): MismatchStrategy {
  const users: QualifiedUserId[] = []
  for (const tag of reader.nested()) {
    if (tag === bytesField(1)) users.push(readQualifiedUserId(reader))
    else reader.skip(tag)
  }
  return kind === 'report-all' || kind === 'ignore-all' ? { kind } : { kind, users }
}

function readQualifiedUserId(reader: ProtobufReader): QualifiedUserId {
  let id: UserId | undefined
  let domain: Domain | undefined
  for (const tag of reader.nested()) {
    if (tag === bytesField(1)) id = once('id', id, readUserIdText(reader))
    else if (tag === bytesField(2)) domain = once('domain', domain, readDomainName(reader))
    else reader.skip(tag)
  }
  return { domain: required('domain', domain), id: required('id', id) }
}

function readDomainName(reader: ProtobufReader): Domain {
  const parsed = Domain.safeParse(reader.text(253))
  if (!parsed.success) throw new MalformedBody('A recipient has a domain that is not valid')
  return parsed.data
}

function readUserIdText(reader: ProtobufReader): UserId {
  const parsed = UserId.safeParse(reader.text(36))
  if (!parsed.success) throw new MalformedBody('A user id is not a UUID')
  return parsed.data
}

function once<T>(name: string, before: T | undefined, value: T): T {
  if (before !== undefined) throw new MalformedBody(`The message has ${name} twice`)
  return value
}

function addOnce<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  if (map.has(key)) throw new MalformedBody(`The message has the recipient ${String(key)} twice`)
  map.set(key, value)
}

function required<T>(name: string, value: T | undefined): T {
  if (value === undefined) throw new MalformedBody(`The message has no ${name}`)
  return value
}

/** Wire's JSON keeps ciphertexts as base64. */
const Base64Bytes = z
  .base64()
  .transform((text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)))

const UnqualifiedOtrMessageJson = z.object({
  sender: ClientId,
  recipients: z.record(UserId, z.record(ClientId, Base64Bytes)),
  native_push: z.boolean().default(true),
  native_priority: z.enum(['low', 'high']).optional(),
  data: Base64Bytes.optional(),
  transient: z.boolean().default(false),
  report_missing: z.array(UserId).optional(),
})

function decodeJson(body: Uint8Array): UnqualifiedOtrMessage {
  boundJson(body)
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new MalformedBody('The message is not valid JSON', { cause })
  }
  const parsed = UnqualifiedOtrMessageJson.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const place = issue?.path.join('.').slice(0, 100) ?? ''
    throw new MalformedBody(`${place}: ${issue?.message ?? 'not valid'}`)
  }
  const { data: message } = parsed
  const recipients: UserTexts = new Map()
  for (const [user, texts] of entriesOf(message.recipients)) {
    recipients.set(user, new Map(entriesOf(texts)))
  }
  return {
    sender: message.sender,
    recipients,
    nativePush: message.native_push,
    transient: message.transient,
    ...(message.native_priority && { nativePriority: message.native_priority }),
    ...(message.data && { data: message.data }),
    ...(message.report_missing && { reportMissing: message.report_missing }),
  }
}

/** Every value in JSON but the first stands behind one of these; none is part of base64. */
const structural = new Set(Array.from(',:[{', (character) => character.charCodeAt(0)))

/** Counts before parsing: JSON of many small values takes many times its size in memory. */
function boundJson(body: Uint8Array): void {
  let values = 0
  for (const byte of body) {
    if (structural.has(byte)) values += 1
    if (values > maxValues) throw new MalformedBody('The message has too many values')
  }
}

/** `Object.entries` forgets the brands of keys. */
const entriesOf = <Key extends string, Value>(record: Partial<Record<Key, Value>>) =>
  Object.entries(record) as [Key, Value][]
