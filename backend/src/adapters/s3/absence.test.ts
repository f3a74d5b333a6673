import { pino } from 'pino'
import { expect, it } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { createDependencies } from '../../platform/dependencies.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { openS3 } from './objects.ts'
import { standIn } from './testing/stand-in.ts'

/** A store with one object, of which it knows nothing for the first answers of each method. */
async function forgetful(denials: number) {
  await using held = new AsyncDisposableStack()
  const asked = new Map<string, number>()
  const connection = await standIn(held, (request, response) => {
    const { method = '', url = '' } = request
    if (!url.includes('/here')) {
      response.statusCode = url === '/assets' || url === '/assets/' ? 200 : 404
      response.end()
      return
    }
    const times = (asked.get(method) ?? 0) + 1
    asked.set(method, times)
    if (times <= denials) response.writeHead(404).end()
    else response.setHeader('etag', '"e"').setHeader('content-length', 4).end('text')
  })
  const log = pino({ level: 'silent' })
  const clock = systemClock()
  const dependencies = held.use(createDependencies({ clock, log, metrics: createMetrics('test') }))
  const store = held.use(await openS3(connection, { clock, dependencies, log }))
  const opened = held.move()
  return { store, asked, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

it('finds what a node of the store denies at first', async () => {
  await using stage = await forgetful(2)
  const object = await stage.store.get('here')
  const chunks: Uint8Array[] = []
  for await (const chunk of object?.content ?? []) chunks.push(chunk)
  expect(Buffer.concat(chunks).toString()).toBe('text')
  expect(stage.asked).toEqual(
    new Map([
      ['HEAD', 3],
      ['GET', 3],
    ]),
  )
})

it('believes at the third look that there is nothing', async () => {
  await using stage = await forgetful(3)
  expect(await stage.store.head('here')).toBeUndefined()
  expect(await stage.store.get('nowhere')).toBeUndefined()
  expect(stage.asked.get('HEAD')).toBe(3)
})
