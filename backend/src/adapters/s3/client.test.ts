import type { IncomingHttpHeaders } from 'node:http'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, it } from 'vitest'
import { connectS3 } from './client.ts'
import { standIn } from './testing/stand-in.ts'

it('sends large objects over the connections that have our certificates', async () => {
  await using held = new AsyncDisposableStack()
  const requests: { headers: IncomingHttpHeaders; port: number | undefined }[] = []
  const connection = await standIn(held, (request, response) => {
    requests.push({ headers: request.headers, port: request.socket.remotePort })
    request.resume().on('end', () => response.setHeader('etag', '"e"').end())
  })
  const s3 = await connectS3(connection)
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
