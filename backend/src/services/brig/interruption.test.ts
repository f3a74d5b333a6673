import { describe, expect, it } from 'vitest'
import { Unavailable, UnknownOutcome } from '../../contract/error.ts'
import type { UserId } from '../../contract/ids.ts'
import type { WideColumnStore } from '../../ports/wide-column.ts'
import { deletionsTable } from './store/deletions.ts'
import { password, startTestBrig } from './test-brig.ts'
import type { Reply, TestBrig } from './test-brig.ts'

/*
 * Every flow that writes more than one row is stopped before and after each of its writes, as a kill
 * would stop it. Then the user does what users do: tries again.
 */

type Moment = 'before' | 'after'
const writes = new Set([
  'put',
  'update',
  'remove',
  'removeRange',
  'batch',
  'putIfAbsent',
  'updateIf',
  'removeIf',
  'batchIf',
])

/** A store that, once armed, stops everything at the n-th write from then on. */
function interruptible() {
  let left = Number.POSITIVE_INFINITY
  let moment: Moment = 'before'
  let isStopped = false
  const wrapStore = (db: WideColumnStore): WideColumnStore =>
    new Proxy(db, {
      get(target, name: keyof WideColumnStore) {
        const method = target[name] as (...args: unknown[]) => Promise<unknown>
        if (typeof name === 'symbol' || name === 'open') return method.bind(target)
        return async (...args: unknown[]) => {
          if (isStopped) throw new Unavailable('the process is gone')
          const isLast = writes.has(name) && --left === 0
          if (!isLast) return method.apply(target, args)
          isStopped = true
          if (moment === 'before') throw new Unavailable('stopped before a write')
          await method.apply(target, args)
          throw new UnknownOutcome('stopped after a write')
        }
      },
    })
  return {
    wrapStore,
    arm(atWrite: number, when: Moment) {
      left = atWrite
      moment = when
      isStopped = false
    },
    /** Whether the flow got as far as the write. */
    disarm(): boolean {
      const wasStopped = isStopped
      left = Number.POSITIVE_INFINITY
      isStopped = false
      return wasStopped
    },
  }
}

interface Flow<Setting> {
  prepare(brig: TestBrig): Promise<Setting>
  act(brig: TestBrig, setting: Setting): Promise<Reply>
  /** After any number of interrupted attempts and a last one in peace. */
  verify(brig: TestBrig, setting: Setting, last: Reply): Promise<void>
}

async function interruptEverywhere<Setting>(flow: Flow<Setting>): Promise<number> {
  const faults = interruptible()
  await using brig = await startTestBrig({ wrapStore: faults.wrapStore })
  for (const when of ['before', 'after'] as const) {
    for (let atWrite = 1; ; atWrite += 1) {
      const setting = await flow.prepare(brig)
      faults.arm(atWrite, when)
      await flow.act(brig, setting)
      if (!faults.disarm()) {
        if (when === 'after') return atWrite - 1
        break
      }
      const last = await flow.act(brig, setting)
      await flow.verify(brig, setting, last)
    }
  }
  throw new Error('unreachable')
}

let counter = 0
const freshName = () => `person.${String((counter += 1))}`

async function codeFor(brig: TestBrig, email: string) {
  await brig.call('POST', '/activate/send', { body: { email } })
  return brig.secretFor(email)
}

const selfOf = (brig: TestBrig, id: UserId) => brig.call('GET', '/self', { as: id })

describe('interrupted at any write', () => {
  it('a registration leaves the address to whoever tries again', async () => {
    const steps = await interruptEverywhere({
      async prepare(brig) {
        const email = `${freshName()}@example.com`
        return { email, ...(await codeFor(brig, email)) }
      },
      act: (brig, { email, code }) =>
        brig.call('POST', '/register', { body: { name: 'A', email, email_code: code, password } }),
      async verify(brig, { email }, last) {
        // Either the second attempt made the account, or the first one had, as far as it matters.
        expect([201, 409]).toContain(last.status)
        const login = await brig.login(email)
        expect(login.status).toBe(200)
        const self = await selfOf(brig, login.body.user as UserId)
        expect(self.body).toMatchObject({ email, status: 'active' })
        expect(self.body.email_unvalidated).toBeUndefined()
        expect(brig.documents.has(login.body.user as UserId)).toBe(true)
      },
    })
    expect(steps).toBeGreaterThanOrEqual(6)
  })

  it('an activation is completed by the same code', async () => {
    const steps = await interruptEverywhere({
      async prepare(brig) {
        const email = `${freshName()}@example.com`
        const body = { name: 'A', email, password }
        const { body: self } = await brig.call('POST', '/register', { body })
        return { email, id: self.id as UserId, ...(await brig.secretFor(email)) }
      },
      act: (brig, { key, code }) =>
        brig.call('POST', '/activate', { body: { key, code, dryrun: false } }),
      async verify(brig, { email, id }, last) {
        expect([200, 204]).toContain(last.status)
        expect((await brig.login(email)).body.user).toBe(id)
        expect(brig.eventsOf(id).length).toBeGreaterThanOrEqual(1)
      },
    })
    expect(steps).toBeGreaterThanOrEqual(4)
  })

  it('a change of address is completed by the same code, and the old one is free', async () => {
    await interruptEverywhere({
      async prepare(brig) {
        const alice = await brig.register()
        const access = await brig.call('POST', '/access', { cookie: alice.cookie })
        const email = `${freshName()}@example.com`
        const token = access.body.access_token as string
        const { cookie } = alice
        await brig.call('PUT', '/access/self/email', { cookie, token, body: { email } })
        return { ...alice, next: email, ...(await brig.secretFor(email)) }
      },
      act: (brig, { key, code }) =>
        brig.call('POST', '/activate', { body: { key, code, dryrun: false } }),
      async verify(brig, { id, email, next }, last) {
        expect([200, 204]).toContain(last.status)
        expect((await selfOf(brig, id)).body.email).toBe(next)
        expect((await brig.login(next)).body.user).toBe(id)
        expect((await brig.register({ email })).id).not.toBe(id)
      },
    })
  })

  it('the claim of a handle is completed by its owner, and nobody else gets it', async () => {
    await interruptEverywhere({
      async prepare(brig) {
        const [alice, bob] = [await brig.register(), await brig.register()]
        const former = freshName()
        await brig.call('PUT', '/self/handle', { as: alice.id, body: { handle: former } })
        return { alice, bob, former, handle: freshName() }
      },
      act: (brig, { alice, handle }) =>
        brig.call('PUT', '/self/handle', { as: alice.id, body: { handle } }),
      async verify(brig, { alice, bob, former, handle }, last) {
        expect(last.status).toBe(200)
        const claim = (wanted: string) =>
          brig.call('PUT', '/self/handle', { as: bob.id, body: { handle: wanted } })
        expect((await claim(handle)).status).toBe(409)
        expect((await claim(former)).status).toBe(200)
        expect((await selfOf(brig, alice.id)).body.handle).toBe(handle)
      },
    })
  })

  it('a deletion is finished by the sweep', async () => {
    await interruptEverywhere({
      async prepare(brig) {
        const alice = await brig.register()
        const handle = freshName()
        await brig.call('PUT', '/self/handle', { as: alice.id, body: { handle } })
        return { ...alice, handle }
      },
      act: (brig, { id }) => brig.call('DELETE', '/self', { as: id, body: { password } }),
      async verify(brig, { id, email, handle }, last) {
        // 404 when the first attempt came so far that the user counts as deleted.
        expect([200, 404]).toContain(last.status)
        await brig.clock.advance(brig.config.sweepEverySeconds * 1000)
        const left = async () => (await brig.db.scan(deletionsTable)).rows
        await expect.poll(left).toEqual([])
        expect(brig.calls).toContain('closeInbox')
        expect(brig.eventsOf(id).some(({ type }) => type === 'user.delete')).toBe(true)
        const heir = await brig.register({ email })
        const body = { handle }
        expect((await brig.call('PUT', '/self/handle', { as: heir.id, body })).status).toBe(200)
      },
    })
  })

  it('a change of password ends with one password that works', async () => {
    await interruptEverywhere({
      prepare: (brig) => brig.register(),
      act: (brig, { id }) =>
        brig.call('PUT', '/self/password', {
          as: id,
          body: { old_password: password, new_password: 'battery staple' },
        }),
      async verify(brig, { email, cookie }) {
        const replies = [
          await brig.login(email),
          await brig.login(email, { password: 'battery staple' }),
        ]
        expect(replies.map(({ status }) => status)).toEqual([403, 200])
        expect((await brig.call('POST', '/access', { cookie })).status).toBe(403)
      },
    })
  })
})
