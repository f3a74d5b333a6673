import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { EndpointDeclaration } from '../../backend/src/contract/endpoint.ts'
import { publicApis } from '../../backend/src/contract/public.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const endpoints = Object.values(publicApis)
  .flat()
  .flatMap((api) => Object.entries(api as Readonly<Record<string, EndpointDeclaration>>))

/**
 * Wire's client tells a 403 `invalid-credentials` apart by its sentence: this one means a wrong
 * password; those below mean that the session is gone, and any other one is taken for that too. So
 * only the routes of the session itself may say anything else.
 */
const wrongPassword = 'Authentication failed.'
const sessionIsGone = new Set([
  'Token expired',
  'Missing cookie',
  'Missing cookie and token',
  'Invalid token',
  'Invalid zauth token',
])

describe('declarations', () => {
  it('are all public: nginz routes every api of the contract', () => {
    const declared = globSync('backend/src/contract/{brig,galley,gundeck,cargohold}/*.ts', {
      cwd: root,
    })
      .filter((file) => !/(internal|attachments|ring)\.ts$|\.test\.ts$/.test(file))
      .flatMap((file) => [
        ...readFileSync(join(root, file), 'utf8').matchAll(/^export const (\w+Api) = \{/gm),
      ])
      .map((match) => match[1])
    const listed = readFileSync(join(root, 'backend/src/contract/public.ts'), 'utf8')
    expect(declared.filter((name) => !listed.includes(`${String(name)} `))).toEqual([])
    expect(declared.length).toBeGreaterThan(20)
  })

  it('name a summary, and each error once', () => {
    for (const [name, endpoint] of endpoints) {
      expect(endpoint.summary.length, name).toBeGreaterThan(5)
      const errors = endpoint.errors.map((error) => JSON.stringify(Object.values(error)))
      expect(new Set(errors).size, `${name}: ${errors.join(', ')}`).toBe(errors.length)
    }
  })

  it('never answer 401 themselves, nor a stray 403 invalid-credentials', () => {
    for (const [name, { method, path, errors }] of endpoints) {
      expect(
        errors.filter(({ status }) => status === 401),
        name,
      ).toEqual([])
      for (const { label, message } of errors) {
        if (label !== 'invalid-credentials' || message === wrongPassword) continue
        expect(path, `${name} says ${message}`).toMatch(/^\/access(\/|$)/)
        expect(sessionIsGone, `${method} ${path}`).toContain(message)
      }
    }
  })

  it('say in one sentence what is wrong', () => {
    for (const [name, { errors }] of endpoints) {
      for (const error of errors) {
        expect(error.message.length, `${name} ${error.label}`).toBeGreaterThan(8)
        expect(error.message, `${name} ${error.label}`).not.toMatch(/\n/)
      }
    }
  })

  it.each(['openapi', 'configuration'])(
    'are what the page of scripts/%s.ts shows',
    async (name) => {
      const { stdout } = await run('node', [`scripts/${name}.ts`, '--check'], { cwd: root })
      expect(stdout).toMatch(/current/)
    },
  )
})
