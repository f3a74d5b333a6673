import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { once } from 'node:events'
import { claimPort } from '../../support/ports.ts'
import { startChild, type ServerChild } from './server-child.ts'

export const hasUclient = existsSync('/usr/bin/turnutils_uclient')

export interface UclientResult {
  readonly code: number | null
  readonly output: string
  readonly sent: number
  readonly received: number
  /** How often it was started until its channel numbers were in range. */
  readonly tries: number
}

/** coturn's test client, once; ended after `seconds`. */
async function runOnce(args: readonly string[], seconds: number): Promise<UclientResult> {
  const child = spawn('turnutils_uclient', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
    })
  }
  const late = setTimeout(() => child.kill('SIGKILL'), seconds * 1000)
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(late)
  const totals = [...output.matchAll(/tot_send_msgs=(\d+), tot_recv_msgs=(\d+)$/gm)].at(-1)
  return {
    code,
    output: output.slice(-4000),
    sent: Number(totals?.[1] ?? 0),
    received: Number(totals?.[2] ?? 0),
    tries: 1,
  }
}

/**
 * Runs it until its channel numbers please the relay. Debian's picks them at random from
 * 0x4000-0x7FFF, as RFC 5766 let it; RFC 8656 §12 ends at 0x4FFF, and the relay refuses the rest with
 * 400, on which it ends at once. With `-Z` it also refreshes a family at random, and asks for two
 * families with an attribute of a draft (0x8032) which the relay does not know: 443 for IPv6.
 */
export async function runUclient(
  args: readonly string[],
  { seconds = 60 }: { readonly seconds?: number } = {},
): Promise<UclientResult> {
  const endMs = performance.now() + seconds * 1000
  for (let tries = 1; ; tries += 1) {
    const result = await runOnce(args, Math.max((endMs - performance.now()) / 1000, 1))
    const isBadLuck =
      result.code !== 0 &&
      (result.output.includes('channel bind: error 400') ||
        // Its port was that of an earlier try, whose allocation lives on.
        /error (437|441)/.test(result.output) ||
        (args.includes('-Z') && result.output.includes('error 443')))
    if (!isBadLuck || performance.now() > endMs) return { ...result, tries }
  }
}

/** coturn's echo of packets. On an address of the relay, `port` must be one of its range. */
export async function startEcho(
  host: string,
  port?: number,
): Promise<ServerChild & { readonly host: string; readonly port: number }> {
  port ??= await claimPort(host)
  const child = startChild(['turnutils_peer', '-L', host, '-p', String(port)])
  return { ...child, host, port }
}
