import type { ClientId, ConnectionId, ConversationId, UserId } from '../../contract/ids.ts'

/**
 * Wire's tokens as text (upstream: libs/zauth/src/Data/ZAuth/Token.hs):
 *
 *     <signature>.v=1.k=<key>.d=<expiry>.t=<type>.l=<tag>.<body>
 *
 * The signature covers every byte after the first dot. Only our own tokens are ever valid, so the
 * parser takes exactly what the formatter writes: fields in this order, numbers in one spelling.
 */
interface TokenHeader {
  /** Which signing key, counted from 1. */
  readonly keyIndex: number
  /** Unix time; never for bots. */
  readonly expiresAtSeconds: number | 'never'
  /** A cookie that the browser forgets when it is closed. */
  readonly isSession: boolean
}

/** What requests carry. */
export interface AccessToken extends TokenHeader {
  readonly type: 'access' | 'legalhold-access'
  readonly user: UserId
  /** Absent until the session is bound to a device. */
  readonly client?: ClientId
  /** A decimal uint64. */
  readonly connection: ConnectionId
}

/** The `zuid` cookie, with which access tokens are fetched. */
export interface UserToken extends TokenHeader {
  readonly type: 'user' | 'legalhold-user'
  readonly user: UserId
  readonly client?: ClientId
  /** A uint32 that tells the cookies of a user apart. */
  readonly random: number
}

export interface BotToken extends TokenHeader {
  readonly type: 'bot'
  readonly provider: string
  readonly bot: string
  readonly conversation: ConversationId
}

export interface ProviderToken extends TokenHeader {
  readonly type: 'provider'
  readonly provider: string
}

export type Token = AccessToken | UserToken | BotToken | ProviderToken
export type TokenType = Token['type']

const letters = {
  access: 'a',
  user: 'u',
  bot: 'b',
  provider: 'p',
  'legalhold-access': 'la',
  'legalhold-user': 'lu',
} as const satisfies Record<TokenType, string>

const typeOfLetters = new Map<string, TokenType>(
  Object.entries(letters).map(([type, text]) => [text, type as TokenType]),
)

/** The part of the text that is signed: everything after the first dot. */
export function formatToken(token: Token): string {
  const expiry = token.expiresAtSeconds === 'never' ? -1 : token.expiresAtSeconds
  const tag = token.isSession ? 's' : ''
  const header = `v=1.k=${token.keyIndex}.d=${expiry}.t=${letters[token.type]}.l=${tag}`
  return `${header}.${formatBody(token)}`
}

function formatBody(token: Token): string {
  switch (token.type) {
    case 'access':
    case 'legalhold-access': {
      const client = token.client === undefined ? '' : `.i=${token.client}`
      return `u=${token.user}${client}.c=${token.connection}`
    }
    case 'user':
    case 'legalhold-user': {
      const client = token.client === undefined ? '' : `.i=${token.client}`
      return `u=${token.user}.r=${token.random.toString(16)}${client}`
    }
    case 'bot':
      return `p=${token.provider}.b=${token.bot}.c=${token.conversation}`
    case 'provider':
      return `p=${token.provider}`
  }
}

export interface SignedToken {
  readonly token: Token
  /** What the signature covers. */
  readonly signed: string
  /** Ed25519, 64 bytes; not verified. */
  readonly signature: Buffer
}

/** Base64url with padding of the 64 bytes of a signature. */
const signatureLength = 88
/** The longest token, a bot's with three UUIDs, has some 260 characters. */
const maxLength = 320

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const clientId = /^(0|[1-9a-f][0-9a-f]{0,15})$/
const decimal = /^[0-9]{1,20}$/

/** Undefined when the text is not exactly what `formatToken` writes behind a signature. */
export function parseToken(text: string): SignedToken | undefined {
  if (text.length > maxLength || text[signatureLength] !== '.') return undefined
  const signatureText = text.slice(0, signatureLength)
  const signature = Buffer.from(signatureText, 'base64url')
  if (`${signature.toString('base64url')}==` !== signatureText) return undefined

  const signed = text.slice(signatureLength + 1)
  const token = readToken(signed.split('.'))
  // Writing it again settles order, spelling and what is left over in one go.
  if (token === undefined || formatToken(token) !== signed) return undefined
  return { token, signed, signature }
}

function readToken(fields: readonly string[]): Token | undefined {
  const values = new Map(fields.map((field) => [field.slice(0, 2), field.slice(2)]))
  const matching = (name: string, shape: RegExp) => {
    const value = values.get(name)
    return value !== undefined && shape.test(value) ? value : undefined
  }

  const keyIndex = Number(values.get('k='))
  const expiry = Number(values.get('d='))
  if (!Number.isSafeInteger(keyIndex) || keyIndex < 1) return undefined
  if (!Number.isSafeInteger(expiry) || expiry < -1) return undefined
  const header: TokenHeader = {
    keyIndex,
    expiresAtSeconds: expiry === -1 ? 'never' : expiry,
    isSession: values.get('l=') === 's',
  }

  const user = matching('u=', uuid) as UserId | undefined
  const client = matching('i=', clientId) as ClientId | undefined
  if (client === undefined && values.has('i=')) return undefined
  const device = client === undefined ? {} : { client }
  const provider = matching('p=', uuid)

  const type = typeOfLetters.get(values.get('t=') ?? '')
  switch (type) {
    case 'access':
    case 'legalhold-access': {
      const connection = matching('c=', decimal) as ConnectionId | undefined
      if (user === undefined || connection === undefined) return undefined
      if (BigInt.asUintN(64, BigInt(connection)).toString() !== connection) return undefined
      return { ...header, type, user, ...device, connection }
    }
    case 'user':
    case 'legalhold-user': {
      const random = Number.parseInt(values.get('r=') ?? '', 16)
      if (user === undefined || !(random >= 0 && random <= 0xffff_ffff)) return undefined
      return { ...header, type, user, ...device, random }
    }
    case 'bot': {
      const bot = matching('b=', uuid)
      const conversation = matching('c=', uuid) as ConversationId | undefined
      if (provider === undefined || bot === undefined || conversation === undefined)
        return undefined
      return { ...header, type, provider, bot, conversation }
    }
    case 'provider':
      return provider === undefined ? undefined : { ...header, type, provider }
    case undefined:
      return undefined
  }
}
