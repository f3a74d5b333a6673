import { expect, it } from 'vitest'

import { startTestServer } from '../support/server.ts'
import { startSplitProcesses } from '../support/split-processes.ts'
import type { RawReply } from '../support/wire/raw.ts'
import { newAddress, refused } from './api.ts'
import { inBothShapesOf } from './shapes.ts'
import type { Backend } from './split-setup.ts'

// The one suite that keeps the limits as they are unless an operator says otherwise.
const defaults = { nginz: {}, brig: {} }

const times = <T>(count: number, act: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => act(index)))

const statuses = (replies: readonly RawReply[]): Record<number, number> =>
  Object.fromEntries(
    Object.entries(Object.groupBy(replies, ({ status }) => status)).map(([status, group]) => [
      status,
      group?.length ?? 0,
    ]),
  )

inBothShapesOf<Backend>(
  {
    embedded: () => startTestServer(defaults),
    split: () => startSplitProcesses(defaults),
  },
  ({ person, stranger }) => {
    it('slows down the user who asks too often, and nobody else', async () => {
      const alice = await person('alice')
      const bob = await person('bob')
      const replies = await times(60, () => alice.client.request('GET', '/self'))
      const refusals = replies.filter(({ status }) => status !== 200)
      expect(refusals.length).toBeGreaterThan(0)
      expect(refusals.length).toBeLessThan(60)
      for (const refusal of refusals) {
        expect(refusal.status).toBe(420)
        expect(Number(refusal.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      }
      expect((await bob.client.request('GET', '/self')).status).toBe(200)
    })

    it("is waited out by Wire's client, which gets every answer", async () => {
      const alice = await person('alice', { kind: 'api' })
      const answers = await times(60, () => alice.client.api.api.self.getSelf([]))
      expect(new Set(answers.map(({ id }) => id))).toEqual(new Set([alice.user.id]))
      expect(alice.client.signOuts).toEqual([])
    })

    it('does not count what clients must be able to do at any time', async () => {
      const { client } = await person('alice')
      const asset = await client.uploadAsset({ bytes: Buffer.from('portrait') })
      expect(statuses(await times(60, () => client.request('POST', '/access')))).toEqual({
        200: 60,
      })
      expect(statuses(await times(60, () => client.downloadAsset(asset)))).toEqual({ 200: 60 })
      const ask = () => stranger().request('GET', '/api-version')
      expect(statuses(await times(60, ask))).toEqual({ 200: 60 })
    })

    it('lets one address try only so many log-ins and ask for so many codes', async () => {
      const somebody = stranger()
      const logIns = await times(12, () => {
        const json = { email: newAddress('nobody'), password: 'whatever it was' }
        return somebody.request('POST', '/login', { json })
      })
      expect(statuses(logIns)).toEqual({ 403: 10, 420: 2 })
      const resets = await times(12, () => {
        const json = { email: newAddress('nobody') }
        return somebody.request('POST', '/password-reset', { json })
      })
      expect(statuses(resets)).toEqual({ 201: 10, 420: 2 })
    })

    it('does not let the password of an account be guessed', async () => {
      const { client, password } = await person('alice')
      const guess = (guessed: string) =>
        client.request('POST', '/cookies/remove', { json: { password: guessed, ids: [1] } })
      for (let guesses = 0; guesses < 5; guesses += 1) {
        expect((await guess(`guess ${String(guesses)}`)).status).toBe(403)
      }
      expect(await guess(password)).toMatchObject(refused(429, 'too-many-requests'))
    })
  },
)
