import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { claimPort, claimPorts } from './ports.ts'

describe('claimed ports', () => {
  it('are each handed out once, in free places only', async () => {
    const taken = createServer()
    const [first = 0] = await claimPorts(1)
    const after = first === 65_535 ? 61_000 : first + 1
    await new Promise<void>((resolve, reject) => {
      taken.once('error', reject).listen(after, '127.0.0.1', resolve)
    })
    const ports = await claimPorts(20)
    taken.close()
    expect(new Set([first, after, ...ports]).size).toBe(22)
  })

  it('are free on the address that was asked for', async () => {
    const port = await claimPort('::1')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(port, '::1', resolve))
    await new Promise((resolve) => server.close(resolve))
  })
})
