import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  identityOfSelf,
  parseIdentity,
  parseStat,
  processState,
  readIdentity,
  signalProcess,
  startDetached,
  untilGone,
} from './process.ts'

const stat =
  '4711 (a) (b c) S 1 4711 4711 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2 3 4 5 6 7'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tricord-process-'))
})
afterAll(() => rm(folder, { recursive: true }))

function files(name: string): { identity: string; log: string; cwd: string } {
  return { identity: join(folder, name), log: join(folder, `${name}.log`), cwd: folder }
}

describe('who a process is', () => {
  it('is read from a line whose name holds spaces and parentheses', () => {
    expect(parseStat(stat)).toEqual({ pid: 4711, state: 'S', startTicks: '987654' })
  })

  it('is unknown when the file is torn', () => {
    const whole = `a-boot\n${stat}`
    for (let length = 0; length < whole.indexOf('987654'); length += 1) {
      expect(parseIdentity(whole.slice(0, length))).toBeUndefined()
    }
    expect(parseIdentity(whole)).toEqual({ pid: 4711, startTicks: '987654', bootId: 'a-boot' })
  })

  it('is unknown or whole for any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const found = parseIdentity(text)
        if (found !== undefined) expect(found.pid).toBeGreaterThanOrEqual(0)
      }),
    )
  })

  it('is not another process with the same id', async () => {
    const self = parseIdentity(await identityOfSelf())
    expect(await processState(self)).toBe('running')
    if (self === undefined) return
    const recycled = { ...self, startTicks: String(Number(self.startTicks) - 1) }
    expect(await processState(recycled)).toBe('stopped')
    expect(await signalProcess(recycled, 'SIGKILL')).toBe(false)
    expect(await signalProcess({ ...self, bootId: 'an earlier boot' }, 'SIGKILL')).toBe(false)
  })
})

describe('a process of its own', () => {
  it('is written down before the program begins, keeps its id, and can be frozen and ended', async () => {
    const where = files('sleeper')
    const identity = await startDetached({ program: 'sleep', args: ['60'] }, where)
    expect(await readIdentity(where.identity)).toEqual(identity)
    expect(await processState(identity)).toBe('running')
    await signalProcess(identity, 'SIGSTOP')
    await expect.poll(() => processState(identity)).toBe('frozen')
    await signalProcess(identity, 'SIGCONT')
    await expect.poll(() => processState(identity)).toBe('running')
    await signalProcess(identity, 'SIGKILL')
    expect(await untilGone(identity, 10_000)).toBe(true)
    expect(await signalProcess(identity, 'SIGKILL')).toBe(false)
  })

  it('leaves what it says in the log', async () => {
    const where = files('speaker')
    const identity = await startDetached({ program: 'echo', args: ['hello there'] }, where)
    expect(await untilGone(identity, 10_000)).toBe(true)
    expect(await readFile(where.log, 'utf8')).toBe('hello there\n')
  })

  it('that cannot be found leaves that in the log', async () => {
    const where = files('missing')
    const identity = await startDetached({ program: '/nowhere/at-all', args: [] }, where)
    expect(await untilGone(identity, 10_000)).toBe(true)
    expect(await readFile(where.log, 'utf8')).toContain('/nowhere/at-all')
  })
})
