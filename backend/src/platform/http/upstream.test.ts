import { createServer, type Server } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { startServer } from './server.ts'
import { answersAtAll } from './upstream.ts'

const closes: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closes.splice(0)) await close()
})

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closes.push(() => server.close())
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}

it('takes any answer for one', async () => {
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    listener: (_, response) => void response.writeHead(404).end(),
  })
  closes.push(() => server.close(0))
  expect(await answersAtAll(server.url, 5000)).toBe(true)
})

it('knows a process that takes connections and says nothing', async () => {
  const url = await listen(createServer((socket) => void closes.push(() => socket.destroy())))
  expect(await answersAtAll(url, 50)).toBe(false)
})

it('knows that nobody is there', async () => {
  const url = await listen(createServer())
  await closes.pop()?.()
  expect(await answersAtAll(url, 5000)).toBe(false)
})

it('does not take its own standstill for that of the other', async () => {
  const url = await listen(
    createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')),
  )
  const answer = answersAtAll(url, 100)
  // The other one lives in this process, too, so it answers in the turn after this one.
  const wakeMs = performance.now() + 300
  while (performance.now() < wakeMs);
  expect(await answer).toBe(true)
})
