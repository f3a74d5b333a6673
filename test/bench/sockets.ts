import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionId, UserId } from '../../backend/src/contract/ids.ts'
import { createSigner } from '../../backend/src/platform/zauth/signer.ts'
import { parsePrivateKeys } from '../../backend/src/platform/zauth/keys.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { residentBytes } from '../support/server-process.ts'
import { cpuSeconds } from './cpu.ts'
import { printFigure, round, talk } from './figure.ts'
import { openIdleSocket, type IdleSocket } from './idle-socket.ts'

/** Access tokens as the server signs them, for users it has never seen: sockets need no more. */
export async function forgeTokens(data: string, count: number): Promise<string[]> {
  const keys = parsePrivateKeys(await readFile(join(data, 'zauth.keys'), 'utf8'))
  const signer = createSigner({ privateKeys: keys })
  const expiresAtSeconds = Math.floor(Date.now() / 1000) + 3600
  return Array.from({ length: count }, (_, index) =>
    signer.sign({
      type: 'access',
      expiresAtSeconds,
      isSession: false,
      user: crypto.randomUUID() as string as UserId,
      connection: String(index + 1) as ConnectionId,
    }),
  )
}

/** What an idle socket costs: in the process, and in the kernel on the server's side. */
export async function benchSockets(
  server: ServerProcess,
  ws: string,
  count: number,
): Promise<void> {
  talk(`sockets: opening ${String(count)}`)
  const tokens = await forgeTokens(server.data, count)
  const before = await memory(server.pid)
  const sockets: IdleSocket[] = []
  const startedMs = performance.now()
  for (let i = 0; i < count; i += 100) {
    const opened = await Promise.all(
      tokens.slice(i, i + 100).map((token) => openIdleSocket(ws, token)),
    )
    sockets.push(...opened)
  }
  const openSeconds = (performance.now() - startedMs) / 1000
  await sleep(3000)
  const after = await memory(server.pid)
  const cpuBefore = await cpuSeconds([server.pid])
  const idleSeconds = 30
  await sleep(idleSeconds * 1000)
  const cpu = (await cpuSeconds([server.pid])) - cpuBefore
  for (const socket of sockets) socket.close()
  printFigure('sockets', {
    sockets: count,
    opensPerSecond: round(count / openSeconds),
    processBytesPerSocket: round((after.process - before.process) / count),
    // Both ends of a connection lie in this kernel.
    kernelBytesPerSocket: round((after.kernel - before.kernel) / count / 2),
    cpuMicrosecondsPerSocketSecond: round((cpu * 1e6) / count / idleSeconds, 2),
  })
}

async function memory(pid: number): Promise<{ process: number; kernel: number }> {
  const info = await readFile('/proc/meminfo', 'utf8')
  const slab = Number(/^Slab:\s+(\d+) kB$/m.exec(info)?.[1] ?? 0) * 1024
  return { process: await residentBytes(pid), kernel: slab }
}
