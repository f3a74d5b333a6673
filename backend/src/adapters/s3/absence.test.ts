import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { createDependencies } from '../../platform/dependencies.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { openS3 } from './objects.ts'

/** A store with one object, of which it knows nothing for the first answers of each method. */
async function forgetful(denials: number) {
  await using held = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'tricord-s3-'))
  held.defer(() => rm(folder, { recursive: true }))
  const keyFile = join(folder, 'key')
  await writeFile(keyFile, 'a key')
  const asked = new Map<string, number>()
  const server = createServer((request, response) => {
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
  held.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const log = pino({ level: 'silent' })
  const clock = systemClock()
  const dependencies = held.use(createDependencies({ clock, log, metrics: createMetrics('test') }))
  const store = held.use(
    await openS3(
      {
        endpoint: `http://127.0.0.1:${String(port)}`,
        region: 'us-east-1',
        bucket: 'assets',
        isPathStyle: true,
        accessKeyFile: keyFile,
        secretKeyFile: keyFile,
      },
      { clock, dependencies, log },
    ),
  )
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
