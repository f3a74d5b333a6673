import { describe, expect, it } from 'vitest'
import { attachmentWindow } from '../../contract/gundeck/attachments.ts'
import type { ConnectionId } from '../../contract/ids.ts'
import { compareTimeUuid } from '../../platform/time-uuid.ts'
import {
  attach,
  fetchPage,
  newClient,
  newUser,
  pushTo,
  send,
  settle,
  startTestGundeck,
} from './testing/test-gundeck.ts'
import type { TestGundeck } from './testing/test-gundeck.ts'

const textOf = (payload: string): unknown => (JSON.parse(payload) as { text: unknown }[])[0]?.text

async function beat(
  gundeck: TestGundeck,
  more: { detach?: number[]; confirm?: [number, number, number][]; cannon?: string } = {},
) {
  const { body } = await gundeck.client.exchangeAttachments({
    params: { cannon: more.cannon ?? 'cannon' },
    body: { address: 'there', attach: [], detach: more.detach ?? [], confirm: more.confirm ?? [] },
  })
  return body
}

describe('an attachment', () => {
  it('gets everything after its position, numbered from 1, as the store has it', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    await send(gundeck, bob, pushTo(bob, 'before'))
    const { number, position } = await attach(gundeck, bob)
    expect(position).toBe((await fetchPage(gundeck, bob)).notifications.at(-1)?.id)
    for (const text of ['a', 'b', 'c']) await send(gundeck, bob, pushTo(bob, text))
    await settle()
    expect(gundeck.delivered.map(({ to }) => to)).toEqual([
      [[number, 1]],
      [[number, 2]],
      [[number, 3]],
    ])
    const stored = (await fetchPage(gundeck, bob, { since: position })).notifications
    expect(
      gundeck.delivered.map(({ id, payload }) => ({ id, payload: JSON.parse(payload) as unknown })),
    ).toEqual(stored)
  })

  it('never gets a position of what is only on its way', async () => {
    const { promise: held, resolve: go } = Promise.withResolvers<void>()
    const gundeck = await startTestGundeck({
      hooks: { at: (step) => (step === 'committed' ? held : undefined) },
    })
    const bob = newUser()
    const sent = send(gundeck, bob, pushTo(bob, 'on its way'))
    await settle()
    const { position } = await attach(gundeck, bob)
    go()
    await sent
    await settle()
    const [delivery] = gundeck.delivered
    expect(compareTimeUuid(position, delivery?.id ?? '')).toBeLessThan(0)
  })

  it('sees what is for its client, and the events of all in one delivery', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const [phone, laptop] = [newClient(), newClient()]
    const one = await attach(gundeck, bob, { client: phone })
    const other = await attach(gundeck, bob, { client: phone })
    await attach(gundeck, bob, { client: laptop })
    await send(
      gundeck,
      bob,
      pushTo(bob, 'phone', { recipients: [{ user: bob, clients: [phone] }] }),
    )
    await settle()
    expect(gundeck.delivered).toHaveLength(1)
    expect(gundeck.delivered[0]?.to).toEqual([
      [one.number, 1],
      [other.number, 1],
    ])
  })

  it('does not get what its own connection caused, nor reads it as live', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const { number, position } = await attach(gundeck, bob, { connection: 'mine' })
    const other = await attach(gundeck, bob, { connection: 'other' })
    const origin = { user: bob, connection: 'mine' as ConnectionId }
    await send(gundeck, bob, pushTo(bob, 'own', { origin }))
    await send(gundeck, bob, pushTo(bob, 'foreign'))
    await settle()
    const texts = gundeck.delivered.map(({ payload, to }) => [textOf(payload), to])
    expect(texts).toEqual([
      ['own', [[other.number, 1]]],
      [
        'foreign',
        [
          [number, 1],
          [other.number, 2],
        ],
      ],
    ])
    expect((await fetchPage(gundeck, bob)).notifications).toHaveLength(2)
    const read = async (connection: string) => {
      const { body } = await gundeck.client.readInbox({
        params: { user: bob },
        body: {
          after: position,
          connection: connection as ConnectionId,
          limit: 10,
          limitBytes: 9999,
        },
      })
      return body.rows.map(({ payload }) => textOf(payload))
    }
    expect(await read('mine')).toEqual(['foreign'])
    expect(await read('other')).toEqual(['own', 'foreign'])
  })

  it('gets transient notifications in their place, which are stored nowhere', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    await send(gundeck, bob, pushTo(bob, 'nobody is there', { isTransient: true }))
    await attach(gundeck, bob)
    await Promise.all([
      send(gundeck, bob, pushTo(bob, 'a')),
      send(gundeck, bob, pushTo(bob, 'typing', { isTransient: true })),
      send(gundeck, bob, pushTo(bob, 'b')),
    ])
    await settle()
    expect(
      gundeck.delivered.map(({ payload, isTransient }) => [textOf(payload), isTransient ?? false]),
    ).toEqual([
      ['a', false],
      ['typing', true],
      ['b', false],
    ])
    const ids = gundeck.delivered.map(({ id }) => id)
    expect(ids).toEqual([...ids].sort(compareTimeUuid))
    expect((await fetchPage(gundeck, bob)).notifications).toHaveLength(2)
  })

  it('replaces the one of the same connection, whose socket is closed', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const first = await attach(gundeck, bob, { connection: 'c' })
    const second = await attach(gundeck, bob, { connection: 'c' })
    await send(gundeck, bob, pushTo(bob, 'text'))
    await settle()
    expect(gundeck.closed).toEqual([{ attachment: first.number, reason: 'replaced' }])
    expect(gundeck.delivered.map(({ to }) => to)).toEqual([[[second.number, 1]]])
  })

  it('takes the place of an earlier one of the same socket without closing anything', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const first = await attach(gundeck, bob, { connection: 'c' })
    const second = await attach(gundeck, bob, { connection: 'c', replaces: first.number })
    await send(gundeck, bob, pushTo(bob, 'text'))
    await settle()
    expect(gundeck.closed).toEqual([])
    expect(gundeck.delivered.map(({ to }) => to)).toEqual([[[second.number, 1]]])
  })

  it('ends when it is detached, or its client is removed', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const phone = newClient()
    const { number } = await attach(gundeck, bob)
    const other = await attach(gundeck, bob, { client: phone })
    await beat(gundeck, { detach: [number] })
    await gundeck.client.closeClientInbox({ params: { user: bob, client: phone } })
    await send(gundeck, bob, pushTo(bob, 'text'))
    await settle()
    expect(gundeck.delivered).toEqual([])
    expect(gundeck.closed).toEqual([{ attachment: other.number, reason: 'client-removed' }])
  })

  it('gives way when a user has too many', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const numbers: number[] = []
    for (let count = 0; count < 77; count += 1) numbers.push((await attach(gundeck, bob)).number)
    await settle()
    expect(gundeck.closed.map(({ attachment }) => attachment)).toEqual(numbers.slice(0, 2))
  })
})

describe('the window', () => {
  it('lets an attachment go that does not confirm, and tells its cannon', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const { number } = await attach(gundeck, bob)
    for (let count = 0; count <= attachmentWindow.messages; count += 1) {
      await send(gundeck, bob, pushTo(bob, String(count)))
    }
    await settle()
    expect(gundeck.delivered).toHaveLength(attachmentWindow.messages)
    expect(gundeck.lost).toEqual([number])
    await send(gundeck, bob, pushTo(bob, 'into the store only'))
    await settle()
    expect(gundeck.delivered).toHaveLength(attachmentWindow.messages)
  })

  it('moves on with what is confirmed', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const { number } = await attach(gundeck, bob)
    let chars = 0
    for (let count = 1; count <= 3 * attachmentWindow.messages; count += 1) {
      await send(gundeck, bob, pushTo(bob, String(count)))
      await settle()
      chars += gundeck.delivered.at(-1)?.payload.length ?? 0
      if (count % 50 === 0) await beat(gundeck, { confirm: [[number, count, chars]] })
    }
    expect(gundeck.delivered).toHaveLength(3 * attachmentWindow.messages)
    expect(gundeck.lost).toEqual([])
  })

  it('also counts bytes, but lets one large notification through', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const { number } = await attach(gundeck, bob)
    await send(gundeck, bob, pushTo(bob, 'x'.repeat(2 * attachmentWindow.bytes)))
    await settle()
    expect(gundeck.delivered).toHaveLength(1)
    await send(gundeck, bob, pushTo(bob, 'small'))
    await settle()
    expect(gundeck.delivered).toHaveLength(1)
    expect(gundeck.lost).toEqual([number])
  })

  it('is not moved by confirmations of what was never sent', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const { number } = await attach(gundeck, bob)
    await beat(gundeck, {
      confirm: [
        [number, 1_000_000, 0],
        [number + 999, 1, 1],
      ],
    })
    for (let count = 0; count <= attachmentWindow.messages; count += 1) {
      await send(gundeck, bob, pushTo(bob, String(count)))
    }
    await settle()
    expect(gundeck.lost).toEqual([number])
  })
})

describe('a cannon', () => {
  it('that did not answer is told with its next heartbeat what it has lost', async () => {
    const gundeck = await startTestGundeck()
    const [bob, carol] = [newUser(), newUser()]
    const { number } = await attach(gundeck, bob)
    await attach(gundeck, carol)
    gundeck.onDeliver = () => {
      throw new Error('the line is cut')
    }
    await send(gundeck, bob, pushTo(bob, 'lost on the way'))
    await settle()
    gundeck.onDeliver = () => undefined
    expect((await beat(gundeck)).lost).toEqual([number])
    expect((await beat(gundeck)).lost).toEqual([])
    await send(gundeck, bob, pushTo(bob, 'text'))
    await send(gundeck, carol, pushTo(carol, 'still attached'))
    await settle()
    expect(gundeck.delivered.map(({ payload }) => textOf(payload))).toEqual(['still attached'])
  })

  it('is told again whom to close when the call was lost', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const { number } = await attach(gundeck, bob)
    gundeck.onDeliver = () => {
      throw new Error('the line is cut')
    }
    await gundeck.client.closeInbox({ params: { user: bob } })
    await settle()
    gundeck.onDeliver = () => undefined
    await beat(gundeck)
    await settle()
    expect(gundeck.closed).toEqual([{ attachment: number, reason: 'user-removed' }])
  })

  it('never has two calls at once, and gets what gathered meanwhile in one', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    await attach(gundeck, bob)
    let calls = 0
    let running = 0
    const { promise: first, resolve: go } = Promise.withResolvers<void>()
    gundeck.onDeliver = async () => {
      calls += 1
      running += 1
      expect(running).toBe(1)
      if (calls === 1) await first
      running -= 1
    }
    for (let count = 0; count < 20; count += 1) await send(gundeck, bob, pushTo(bob, String(count)))
    await settle()
    go()
    await settle()
    expect(calls).toBe(2)
    expect(gundeck.delivered.map(({ to }) => to[0]?.[1])).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    )
  })

  it('that was silent too long is forgotten, and begins a new tenure', async () => {
    const gundeck = await startTestGundeck()
    const bob = newUser()
    const { tenure } = await attach(gundeck, bob)
    await gundeck.clock.advance(20_000)
    await send(gundeck, bob, pushTo(bob, 'nobody'))
    await settle()
    expect(gundeck.delivered).toEqual([])
    expect((await beat(gundeck)).tenure).not.toBe(tenure)
  })

  it('learns of a new owner by its tenure', async () => {
    const gundeck = await startTestGundeck()
    const { tenure } = await beat(gundeck)
    expect((await beat(gundeck)).tenure).toBe(tenure)
    const next = await gundeck.restart()
    expect((await beat(next)).tenure).not.toBe(tenure)
  })
})
