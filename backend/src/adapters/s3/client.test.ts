import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, it } from 'vitest'
import { connectS3 } from './client.ts'

it('sends large objects over the connections that have our certificates', async () => {
  await using held = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'tricord-s3-'))
  held.defer(() => rm(folder, { recursive: true }))
  const keyFile = join(folder, 'key')
  await writeFile(keyFile, 'a key')
  const requests: { headers: IncomingHttpHeaders; port: number | undefined }[] = []
  const server = createServer((request, response) => {
    requests.push({ headers: request.headers, port: request.socket.remotePort })
    request.resume().on('end', () => response.setHeader('etag', '"e"').end())
  })
  held.defer(() => server.closeAllConnections())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const s3 = await connectS3({
    endpoint: `http://127.0.0.1:${String(port)}`,
    region: 'us-east-1',
    bucket: 'assets',
    isPathStyle: true,
    accessKeyFile: keyFile,
    secretKeyFile: keyFile,
  })
  held.defer(() => s3.destroy())

  for (const sizeBytes of [10, 5 * 1024 * 1024]) {
    const Body = Buffer.alloc(sizeBytes)
    await s3.send(new PutObjectCommand({ Bucket: 'assets', Key: 'k', Body }))
  }

  const [small, large] = requests
  expect(large?.headers['content-length']).toBe(String(5 * 1024 * 1024))
  // With it, the client makes an agent of its own for the request.
  expect(large?.headers.expect).toBeUndefined()
  expect(large?.port).toBe(small?.port)
})
