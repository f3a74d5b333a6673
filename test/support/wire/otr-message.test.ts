import otr from '@wireapp/protocol-messaging/web/otr.js'
import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { encodeOtrMessage, sameForAll, type MismatchStrategy } from './otr-message.ts'

const { QualifiedNewOtrMessage } = otr.proteus

const deviceHex = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map((id) => id.toString(16))
const bytes = fc.uint8Array({ maxLength: 300 })
const domain = fc.constantFrom('tricord.internal', 'elsewhere.example')
const users = fc.array(fc.record({ id: fc.uuid(), domain }), { maxLength: 3 })
const strategy = fc.oneof(
  fc.constantFrom<MismatchStrategy>('report-all', 'ignore-all'),
  users.map((reportOnly) => ({ reportOnly })),
  users.map((ignoreOnly) => ({ ignoreOnly })),
)
const message = fc.record({
  sender: deviceHex,
  recipients: fc.dictionary(
    domain,
    fc.dictionary(fc.uuid(), fc.dictionary(deviceHex, bytes, { maxKeys: 3 }), { maxKeys: 3 }),
  ),
  nativePush: fc.boolean(),
  blob: bytes,
  priority: fc.constantFrom<'low' | 'high'>('low', 'high'),
  transient: fc.boolean(),
  strategy,
})

const hexOf = (id: { toString(): string }): string => BigInt(id.toString()).toString(16)

it("encodes messages as Wire's own definition reads them", () => {
  fc.assert(
    fc.property(message, (given) => {
      const read = QualifiedNewOtrMessage.decode(encodeOtrMessage(given))
      const recipients = Object.fromEntries(
        read.recipients.map((entry) => [
          entry.domain,
          Object.fromEntries(
            (entry.entries ?? []).map(({ user, clients = [] }) => {
              const hex = Buffer.from(user.uuid).toString('hex')
              const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
              const texts = (clients ?? []).map((client) => [
                hexOf(client.client.client),
                Uint8Array.from(client.text),
              ])
              return [uuid, Object.fromEntries(texts)]
            }),
          ),
        ]),
      )
      expect(recipients).toEqual(given.recipients)
      expect(hexOf(read.sender.client)).toBe(given.sender)
      expect(read.nativePush).toBe(given.nativePush)
      expect(read.transient).toBe(given.transient)
      expect(read.nativePriority).toBe(given.priority === 'low' ? 1 : 2)
      expect(Uint8Array.from(read.blob ?? [])).toEqual(given.blob)
      const { reportAll, ignoreAll, reportOnly, ignoreOnly } = read
      expect({
        reportAll: Boolean(reportAll),
        ignoreAll: Boolean(ignoreAll),
        reportOnly: reportOnly?.userIds?.map(({ id, domain }) => ({ id, domain })),
        ignoreOnly: ignoreOnly?.userIds?.map(({ id, domain }) => ({ id, domain })),
      }).toEqual({
        reportAll: given.strategy === 'report-all',
        ignoreAll: given.strategy === 'ignore-all',
        reportOnly: undefined,
        ignoreOnly: undefined,
        ...(typeof given.strategy === 'object' && given.strategy),
      })
    }),
  )
})

it('leaves the strategy out when told to', () => {
  const encoded = encodeOtrMessage({ sender: '1', recipients: {}, strategy: undefined })
  expect(QualifiedNewOtrMessage.decode(encoded).clientMismatchStrategy).toBeUndefined()
})

it('addresses the same text to every device', () => {
  const text = Buffer.from('hi')
  expect(sameForAll({ 'a.example': { u: ['1', '2'] } }, 'hi')).toEqual({
    'a.example': { u: { 1: text, 2: text } },
  })
})
