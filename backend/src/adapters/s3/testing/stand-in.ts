import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { S3Connection } from '../client.ts'

/** How to connect to a store that answers as the listener does, for as long as it is held. */
export async function standIn(
  held: AsyncDisposableStack,
  listener: RequestListener,
): Promise<S3Connection> {
  const folder = await mkdtemp(join(tmpdir(), 'tricord-s3-'))
  held.defer(() => rm(folder, { recursive: true }))
  const keyFile = join(folder, 'key')
  await writeFile(keyFile, 'a key')
  const server = createServer(listener)
  held.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${String(port)}`,
    region: 'us-east-1',
    bucket: 'assets',
    isPathStyle: true,
    accessKeyFile: keyFile,
    secretKeyFile: keyFile,
  }
}
