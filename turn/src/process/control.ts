import { rm } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { allocationsOf } from './metrics.ts'
import type { Relay } from './supervisor.ts'

/** Commands to a relay that runs, over a Unix socket: one word in, one line of JSON out. */
export const controlCommands = ['drain', 'reload', 'status'] as const
export type ControlCommand = (typeof controlCommands)[number]

const maxCommandBytes = 64

/** Serves the socket; who may open the file may command. */
export async function serveControl(path: string, relay: Relay): Promise<AsyncDisposable> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let received = ''
    socket.setTimeout(5_000, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      const isWhole = received.includes('\n')
      if (!isWhole && received.length <= maxCommandBytes) return
      socket.removeAllListeners('data')
      const name = received.split('\n')[0] ?? ''
      const command = controlCommands.find((known) => known === name.trim())
      obey(command, relay).then(
        (reply) => socket.end(`${JSON.stringify(reply)}\n`),
        (error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error)
          socket.end(`${JSON.stringify({ error: reason })}\n`)
        },
      )
    })
  })
  await rm(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve())
  })
  return {
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

async function obey(command: ControlCommand | undefined, relay: Relay): Promise<unknown> {
  if (command === undefined) return { error: `the commands are ${controlCommands.join(', ')}` }
  if (command === 'drain') relay.drain()
  if (command === 'reload') await relay.reload()
  const figures = await relay.figures()
  return {
    allocations: allocationsOf(figures),
    isDraining: figures.isDraining,
    restarts: figures.restarts,
    processes: relay.processes(),
  }
}

/** Sends a command; rejects when nobody listens there. */
export async function sendControl(path: string, command: ControlCommand): Promise<string> {
  const socket = createConnection(path)
  socket.end(`${command}\n`)
  return (await text(socket)).trim()
}
