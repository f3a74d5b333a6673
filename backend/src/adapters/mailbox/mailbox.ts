import { open, readFile, rename, writeFile, type FileHandle } from 'node:fs/promises'
import { z } from 'zod'
import { Unavailable } from '../../contract/error.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Ids } from '../../platform/ids.ts'
import type { Mail, MailSender } from '../../ports/mail.ts'

const KeptMail = z.object({
  id: z.string(),
  to: z.string(),
  from: z.string(),
  subject: z.string(),
  text: z.string(),
  html: z.string().optional(),
  headers: z.record(z.string(), z.string()),
  /** ISO 8601, UTC. */
  received: z.string(),
})
export type KeptMail = z.infer<typeof KeptMail>

export interface Mailbox extends MailSender {
  /** Oldest first. */
  list(to?: string): readonly KeptMail[]
  clear(): Promise<void>
}

/** Older mails make room. */
const maxMails = 1000

/**
 * Keeps mails instead of sending them, for development and for trying Tricord out. One JSON line a
 * mail, so that they survive a restart.
 */
export async function openMailbox(options: {
  file: string
  from: string
  clock: Pick<Clock, 'nowMs'>
  ids: Pick<Ids, 'uuid'>
}): Promise<Mailbox> {
  let mails = await readMails(options.file)
  let handle = await rewrite(options.file, mails)
  let writing: Promise<unknown> = Promise.resolve()
  /** One write at a time, in the order of the calls. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = writing.then(work)
    writing = done.catch(() => undefined)
    return done
  }

  return {
    send: (mail: Mail) =>
      inTurn(async () => {
        const kept: KeptMail = {
          id: options.ids.uuid(),
          from: options.from,
          received: new Date(options.clock.nowMs()).toISOString(),
          headers: {},
          ...mail,
        }
        await asUnavailable(() => handle.appendFile(lineOf(kept)))
        mails.push(kept)
        if (mails.length >= 2 * maxMails) {
          mails = mails.slice(-maxMails)
          await handle.close()
          handle = await rewrite(options.file, mails)
        }
      }),
    list(to) {
      const recent = mails.slice(-maxMails)
      const address = to?.toLowerCase()
      return address === undefined
        ? recent
        : recent.filter((mail) => mail.to.toLowerCase() === address)
    },
    clear: () =>
      inTurn(async () => {
        mails = []
        await handle.close()
        handle = await rewrite(options.file, mails)
      }),
    [Symbol.asyncDispose]: () => inTurn(() => handle.close()),
  }
}

/** The break comes first, so that a line which a full disk or a crash cut off spoils no other. */
const lineOf = (mail: KeptMail): string => `\n${JSON.stringify(mail)}`

async function asUnavailable(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    throw new Unavailable('keep a mail', { cause })
  }
}

async function readMails(file: string): Promise<KeptMail[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return text.split('\n').flatMap((line) => {
    try {
      return [KeptMail.parse(JSON.parse(line))]
    } catch {
      // The empty first line, or one that was cut off.
      return []
    }
  })
}

async function rewrite(file: string, mails: readonly KeptMail[]): Promise<FileHandle> {
  const draft = `${file}.new`
  await writeFile(draft, mails.map(lineOf).join(''), { mode: 0o600 })
  await rename(draft, file)
  return open(file, 'a')
}
