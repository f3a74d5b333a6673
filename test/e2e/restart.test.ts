import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, it } from 'vitest'

import { serviceNames } from '../../backend/src/compose/config.ts'
import { freeListenerPorts, startServerProcess } from '../support/server-process.ts'
import { startSplitProcesses } from '../support/split-processes.ts'
import type { Person, Room } from '../support/wire/cast.ts'
import type { CoreEvent } from '../support/wire/core-calls.ts'
import { sameForAll } from '../support/wire/otr-message.ts'
import type { WireEvent } from '../support/wire/raw-socket.ts'
import { roomPath } from './api.ts'
import { inBothShapesOf } from './shapes.ts'
import type { Backend } from './split-setup.ts'

type Somebody = Person<'raw'>

/** A backend that its operator stops and starts again, on the same data and addresses. */
interface Restartable extends Backend, AsyncDisposable {
  /** Tells each process to stop, waits until it has, and starts it again. */
  restart(): Promise<void>
}

async function startOneProcess(): Promise<Restartable> {
  const data = await mkdtemp(join(tmpdir(), 'tricord-restart-'))
  const { server: ports } = await freeListenerPorts(['server'])
  const start = () => startServerProcess({ data, ports })
  let server = await start()
  return {
    url: server.url,
    mailboxUrl: server.mailboxUrl,
    async restart() {
      server.kill('SIGTERM')
      expect(await server.exit).toBe(0)
      server = await start()
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** One service after the other, so that those who stay meet one that is away. */
async function startOnePerService(): Promise<Restartable> {
  const split = await startSplitProcesses()
  return {
    ...split,
    async restart() {
      for (const service of serviceNames) {
        const { exit } = split.processes[service]
        await split.restart(service)
        expect(await exit, service).toBe(0)
      }
    },
  }
}

/** Sends one text after the other until told to stop; resolves with those that were taken. */
function keepTalking(speaker: Somebody, listener: Somebody, room: Room) {
  const { domain, id } = listener.user
  const taken: string[] = []
  let isOver = false
  async function talk(): Promise<string[]> {
    for (let count = 0; !isOver; count += 1) {
      const text = `message ${String(count)}`
      const recipients = sameForAll({ [domain]: { [id]: [listener.device] } }, text)
      const reply = await speaker.client.sendOtr(room.id, { recipients }).catch(() => undefined)
      if (reply?.status === 201) taken.push(text)
    }
    return taken
  }
  const talking = talk()
  return {
    taken,
    stop() {
      isOver = true
      return talking
    },
  }
}

const textOf = ({ type, data }: WireEvent): string[] =>
  type === 'conversation.otr-message-add'
    ? [Buffer.from((data as { text: string }).text, 'base64').toString()]
    : []

inBothShapesOf(
  { embedded: startOneProcess, split: startOnePerService },
  ({ person, stranger, backend }) => {
    it('finds everything again', async () => {
      const alice = await person('alice')
      const bob = await person('bob', { isOnline: false })
      const room = await alice.creates('Lunch', [bob])
      await alice.sends(room, 'Are you there?')
      await bob.client.request('PUT', '/properties/labels', { json: ['work'], expect: 200 })
      const asset = await alice.client.uploadAsset({ bytes: Buffer.from('menu') })
      const conversation = await alice.client.request('GET', roomPath(room), { expect: 200 })
      const notifications = await bob.client.notifications()

      await backend().restart()

      await bob.comesOnline()
      expect(bob.texts(room)).toEqual(['Are you there?'])
      expect(await bob.client.notifications()).toEqual(notifications)
      expect((await bob.client.request('GET', '/properties/labels')).json).toEqual(['work'])
      expect((await bob.client.downloadAsset(asset)).text).toBe('menu')
      expect((await alice.client.request('GET', roomPath(room))).json).toEqual(conversation.json)
      await alice.client.access()
      await stranger().login({ email: bob.email, password: bob.password })
      const found = await alice.client.request('GET', '/search/contacts', {
        query: { q: bob.handle },
      })
      expect(found.json).toMatchObject({ documents: [{ qualified_id: bob.user }] })
      await bob.sends(room, 'Back again')
      const heard = await alice.client.notifications()
      expect(heard.flatMap(({ payload }) => payload.flatMap(textOf))).toEqual(['Back again'])
    })

    it('tells sockets to come back, and keeps what it took before and after', async () => {
      const alice = await person('alice')
      const bob = await person('bob', { isOnline: false })
      const room = await alice.connectsWith(bob)
      const talk = keepTalking(alice, bob, room)
      const socket = await bob.client.openAwait()
      await socket.receives((event) => textOf(event).length > 0)

      await backend().restart()

      expect(await socket.closed).toMatchObject({ code: 1001 })
      const before = talk.taken.length
      await using again = await bob.client.openAwait()
      await again.receives((event) => textOf(event).length > 0)
      const taken = await talk.stop()
      expect(taken.length).toBeGreaterThan(before)

      const stored = await bob.client.notifications()
      const texts = stored.flatMap(({ payload }) => payload.flatMap(textOf))
      expect(texts.filter((text) => taken.includes(text))).toEqual(taken)
      const seen = [...socket.events.all, ...again.events.all].flatMap(({ event }) => textOf(event))
      expect(new Set(seen).size).toBe(seen.length)
      expect(texts).toEqual(expect.arrayContaining(seen))
    })

    it("is found again by Wire's client", async () => {
      const alice = await person('alice', { kind: 'core' })
      const bob = await person('bob', { kind: 'core' })
      const room = await alice.connectsWith(bob)
      await alice.sends(room, 'before')
      await bob.receives('before')

      await backend().restart()

      await alice.sends(room, 'after')
      await bob.receives('after')
      await bob.sends(room, 'Hello again')
      await alice.receives('Hello again')
      // A message that came over the new socket and with the catch-up is decrypted once; the second
      // attempt fails, which the apps ignore.
      const isTrouble = (event: CoreEvent): boolean =>
        event.kind === 'undecryptable'
          ? !event.reason.includes('DuplicateMessage')
          : ['defect', 'missed', 'signed-out'].includes(event.kind)
      for (const { client } of [alice, bob]) expect(client.events.seen(isTrouble)).toEqual([])
      expect(bob.texts(room)).toEqual(['before', 'after'])
    })
  },
)
