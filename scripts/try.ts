// Two of Wire's own clients, unmodified, exchange encrypted messages and a file through a server.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, styleText } from 'node:util'

import { startCoreClient, type CoreClient } from '../test/support/wire/core-client.ts'
import type { CoreEvent } from '../test/support/wire/core-calls.ts'
import { mailbox } from '../test/support/wire/mailbox.ts'
import { rawClient } from '../test/support/wire/raw.ts'
import { isSameId, serverUrls, type QualifiedId } from '../test/support/wire/wire-types.ts'

const USAGE = `Usage: npm run try -- [options]

Registers two users with Wire's own client library, lets them exchange encrypted texts, a file and
read confirmations, and prints what happened. Ends with code 0 when everything worked.

  --server URL    use this server; without it, one is started and stopped again
  --mailbox URL   where that server shows its mails (default: same host, next port)
  --file-mb N     size of the file to send, in megabytes (default: 5)
  --show-log      print what Wire's clients logged when something fails
  --help          show this text
`

const PASSWORD = 'correct horse battery'
const MEGABYTE = 1024 * 1024
const TITLE_COLUMNS = 56

interface Target {
  readonly url: string
  readonly mailboxUrl: string
  readonly stop: () => Promise<void>
}

interface Options {
  readonly server: string | undefined
  readonly mailbox: string | undefined
  readonly fileBytes: number
  readonly isLogShown: boolean
}

class UsageError extends Error {}

function readOptions(args: readonly string[]): Options | 'help' {
  const parse = () =>
    parseArgs({
      args: [...args],
      options: {
        server: { type: 'string' },
        mailbox: { type: 'string' },
        'file-mb': { type: 'string', default: '5' },
        'show-log': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  let values: ReturnType<typeof parse>['values']
  try {
    values = parse().values
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
  if (values.help) return 'help'
  const fileMegabytes = Number(values['file-mb'])
  if (!(fileMegabytes > 0 && fileMegabytes <= 100)) {
    throw new UsageError('--file-mb takes a number above 0 and up to 100')
  }
  for (const url of [values.server, values.mailbox]) {
    if (url !== undefined && !/^https?:\/\//.test(url)) throw new UsageError(`No http URL: ${url}`)
  }
  return {
    server: values.server,
    mailbox: values.mailbox,
    fileBytes: Math.round(fileMegabytes * MEGABYTE),
    isLogShown: values['show-log'],
  }
}

/** The server that was named, or one of our own on a folder that goes with it. */
async function findTarget({ server, mailbox: mailboxUrl }: Options): Promise<Target> {
  if (server !== undefined) {
    const stop = (): Promise<void> => Promise.resolve()
    return { url: server, mailboxUrl: mailboxUrl ?? nextPort(server), stop }
  }
  // Not loaded for a server that runs elsewhere.
  const { Config } = await import('../backend/src/compose/config.ts')
  const { startEmbedded } = await import('../backend/src/compose/embedded.ts')
  const folder = await mkdtemp(join(tmpdir(), 'tricord-try-'))
  const config = Config.parse({
    listen: '127.0.0.1:0',
    operatorListen: '127.0.0.1:0',
    data: join(folder, 'data'),
    log: { level: 'error' },
  })
  const running = await startEmbedded(config)
  return {
    url: running.url,
    mailboxUrl: running.operatorUrl,
    async stop() {
      await running[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Where the mailbox is when only the server is known: one port further, as the settings start out. */
function nextPort(server: string): string {
  const url = new URL(server)
  url.port = String(Number(url.port || '80') + 1)
  return url.origin
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const dim = (text: string): string => styleText('dim', text, { stream: process.stdout })
const good = (text: string): string => styleText('green', text, { stream: process.stdout })
const bad = (text: string): string => styleText('red', text, { stream: process.stdout })

function shownDuration(ms: number): string {
  return ms < 1_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(2)} s`
}

class StepFailed extends Error {}

interface Story {
  readonly steps: () => number
  readonly step: <T>(
    title: string,
    run: () => Promise<T>,
    note?: (result: T) => string,
  ) => Promise<T>
}

/** Prints each step when it is done, with the time it took and what its result has to say. */
function beginStory(): Story {
  let steps = 0
  return {
    steps: () => steps,
    step: async (title, run, note) => {
      const startedAt = performance.now()
      const line = (mark: string): string => {
        const took = shownDuration(performance.now() - startedAt).padStart(8)
        return `  ${mark} ${title.padEnd(TITLE_COLUMNS)} ${took}`
      }
      try {
        const result = await run()
        say(line(good('✓')) + (note ? `  ${dim(note(result))}` : ''))
        steps += 1
        return result
      } catch (error) {
        say(line(bad('✗')))
        throw new StepFailed(title, { cause: error })
      }
    },
  }
}

interface Player {
  readonly client: CoreClient
  readonly user: QualifiedId
  readonly handle: string
}

async function tell(target: Target, fileBytes: number, clients: CoreClient[]): Promise<number> {
  const { step, steps } = beginStory()
  const api = serverUrls(target.url)
  const mails = mailbox(target.mailboxUrl)

  async function enter(name: string): Promise<Player> {
    const tag = crypto.randomUUID().slice(0, 8)
    const email = `${name.toLowerCase()}.${tag}@example.org`
    const handle = `${name.toLowerCase()}_${tag}`
    const client = await step(
      `${name} starts Wire's client`,
      async () => {
        const started = await startCoreClient({ api, name })
        clients.push(started)
        return started
      },
      ({ version, domain }) => `API version ${version}, domain ${domain}`,
    )
    const code = await step(
      `${name} asks for a code by mail`,
      async () => {
        await rawClient(api.rest, { name }).sendActivationCode(email)
        return (await mails.activationFor(email)).code
      },
      (received) => `${received}, sent to ${email}`,
    )
    const { user } = await step(
      `${name} registers with the code`,
      () => client.registerUser({ email, password: PASSWORD, name, emailCode: code }),
      ({ user: { id } }) => id,
    )
    await step(
      `${name} adds a device, takes a handle, goes online`,
      async () => {
        const device = await client.registerClient({ password: PASSWORD })
        await client.initClient()
        await client.setHandle(handle)
        await client.listen()
        return device.id
      },
      (device) => `device ${device}, @${handle}`,
    )
    return { client, user, handle }
  }

  const live = ({ source }: { source: string }): string =>
    source === 'websocket' ? 'arrived live' : 'found on return'
  const sends = (from: Player, to: Player, room: QualifiedId, text: string) => async () => {
    const options = { expectsReadConfirmation: true }
    const { messageId } = await from.client.sendText(room, text, options)
    const received = await to.client.receivesText(text)
    if (received.messageId !== messageId) throw new Error(`Another message with the text ${text}`)
    return received
  }
  const isEvent =
    (type: string) =>
    (event: CoreEvent): boolean =>
      'type' in event && event.type === type

  const alice = await enter('Alice')
  const bob = await enter('Bob')

  const room = await step('Alice finds Bob by handle, Bob accepts', async () => {
    await alice.client.searchAndConnect(bob.handle)
    await bob.client.receives(isEvent('user.connection'))
    const { conversation } = await bob.client.acceptConnection(alice.user)
    await alice.client.receives(isEvent('conversation.member-join'))
    if (!conversation) throw new Error('The accepted connection names no conversation')
    return conversation
  })
  const greeting = await step(
    'Alice to Bob: "Hello Bob"',
    sends(alice, bob, room, 'Hello Bob'),
    live,
  )
  await step('Bob to Alice: "Grüße 👋 zurück"', sends(bob, alice, room, 'Grüße 👋 zurück'), live)
  await step('Bob confirms that he read it', async () => {
    await bob.client.sendConfirmation(room, [greeting.messageId], 'read')
    const isIt = (event: CoreEvent): boolean =>
      event.kind === 'confirmation' &&
      event.confirms === 'read' &&
      event.messageIds.includes(greeting.messageId)
    await alice.client.receives(isIt)
  })

  await step('Bob goes offline', () => bob.client.stopListening())
  const missed = ['Are you there?', 'I will wait.']
  await step('Alice to Bob, meanwhile: two messages', async () => {
    for (const text of missed) await alice.client.sendText(room, text)
  })
  await step(
    'Bob comes back and finds both, in order',
    async () => {
      await bob.client.listen()
      const arrived = []
      for (const text of missed) arrived.push(await bob.client.receivesText(text))
      const isMissed = (event: CoreEvent): boolean =>
        event.kind === 'text' && missed.includes(event.text)
      const order = bob.client.events.seen(isMissed)
      if (order.some((event, at) => event.kind !== 'text' || event.text !== missed[at])) {
        throw new Error('The messages came in another order')
      }
      return arrived[0] ?? { source: '' }
    },
    live,
  )

  const group = await step('Alice makes a group with Bob', async () => {
    const { conversation } = await alice.client.createGroup('Lunch', [bob.user])
    await bob.client.receives(
      (event) =>
        isEvent('conversation.create')(event) &&
        'conversation' in event &&
        isSameId(event.conversation, conversation),
    )
    return conversation
  })
  await step('Bob to the group: "Where?"', sends(bob, alice, group, 'Where?'), live)

  const sent = await step(
    `Alice encrypts and sends a file of ${(fileBytes / MEGABYTE).toFixed(0)} MB`,
    () => alice.client.uploadFile(group, { sizeBytes: fileBytes, name: 'menu.bin' }),
    ({ file }) => file.key,
  )
  await step(
    'Bob downloads it and decrypts the same bytes',
    async () => {
      const isFile = (event: CoreEvent): boolean => event.kind === 'asset' && !!event.file
      const event = await bob.client.receives(isFile)
      if (event.kind !== 'asset' || !event.file) throw new Error('A file message without a file')
      const { plainSha256 } = await bob.client.downloadFile(event.file)
      if (plainSha256 !== sent.plainSha256) throw new Error('The bytes differ')
      return plainSha256
    },
    (sha256) => `SHA-256 ${sha256.slice(0, 16)}…`,
  )
  await step('Both sign out', async () => {
    for (const { client } of [alice, bob]) await client.logout()
  })

  await step('Nothing failed behind the scenes', async () => {
    const isTrouble = ({ kind }: CoreEvent): boolean =>
      kind === 'defect' || kind === 'undecryptable' || kind === 'missed' || kind === 'signed-out'
    const trouble = clients.flatMap(({ name, events }) =>
      events.seen(isTrouble).map((event) => `${name}: ${JSON.stringify(event)}`),
    )
    if (trouble.length > 0) throw new Error(trouble.join('\n'))
  })
  return steps()
}

function explain(error: unknown): void {
  let cause = error
  while (cause instanceof Error) {
    if (!(cause instanceof StepFailed)) say(bad(`    ${cause.message.replaceAll('\n', '\n    ')}`))
    ;({ cause } = cause)
  }
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') {
    process.stdout.write(USAGE)
    return 0
  }
  const startedAt = performance.now()
  const target = await findTarget(options)
  const isOwn = options.server === undefined
  const clients: CoreClient[] = []
  const start = isOwn ? `, started in ${shownDuration(performance.now() - startedAt)}` : ''
  say(`Two of Wire's own clients against ${target.url}${start}\n`)
  try {
    const steps = await tell(target, options.fileBytes, clients)
    const took = shownDuration(performance.now() - startedAt)
    say(good(`\nAll ${steps} steps worked, in ${took}.`))
    return 0
  } catch (error) {
    explain(error)
    if (options.isLogShown) {
      for (const client of clients) say(dim(`\n${client.name}'s log:\n${client.log()}`))
    }
    say(bad('\nThat did not work.'))
    return 1
  } finally {
    for (const client of clients) await client.close()
    await target.stop()
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  const isUsage = error instanceof UsageError
  process.stderr.write(`${(error as Error).message}\n${isUsage ? `\n${USAGE}` : ''}`)
  process.exitCode = isUsage ? 2 : 1
}
