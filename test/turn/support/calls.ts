/** Calls in Chromium: two peer connections in one page that may only meet through a relay. */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Page } from 'playwright-core'

export const chromiumFile = '/usr/bin/chromium'
export const hasChromium = existsSync(chromiumFile)

export interface IceServer {
  readonly urls: string
  readonly username: string
  readonly credential: string
}

export interface CallSettings {
  /** One for each side. */
  readonly iceServers: readonly [IceServer, IceServer]
  readonly seconds: number
  /** Messages a second on the data channel, each way. */
  readonly messagesPerSecond: number
}

export interface CallResult {
  readonly sent: number
  /** Of the data channel, which must lose and reorder nothing. */
  readonly received: number
  readonly isInOrder: boolean
  readonly candidateTypes: readonly string[]
  /** What the selected candidates used to reach the relay: udp, tcp or tls. */
  readonly relayProtocols: readonly string[]
  readonly audioPacketsReceived: number
  readonly videoFramesDecoded: number
  /** Packets of sound and picture that were lost, of all that were sent. */
  readonly mediaLoss: number
  /** Times a connection left the state "connected", if for a moment: a starved browser does that too. */
  readonly interruptions: number
  /** Times it was given up. */
  readonly failures: number
}

export interface Browser extends AsyncDisposable {
  readonly version: string
  call(settings: CallSettings): Promise<CallResult>
}

/**
 * Chromium without a window. Loopback counts as a network, and certificates are taken as they come:
 * the relay's is signed by nobody.
 */
export async function startBrowser(): Promise<Browser> {
  const folder = await mkdtemp(join(tmpdir(), 'chromium-'))
  // getUserMedia and RTCPeerConnection want a page of a secure origin: localhost is one.
  const script = await readFile(join(import.meta.dirname, 'call-page.js'), 'utf8')
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(`<!doctype html><title>call</title><script>${script}</script>`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: chromiumFile,
    headless: true,
    ignoreHTTPSErrors: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      '--allow-loopback-in-peer-connection',
      '--ignore-certificate-errors',
      '--disable-features=WebRtcHideLocalIpsWithMdns',
    ],
  })
  const page = context.pages()[0] ?? (await context.newPage())
  await page.goto(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`)
  return {
    version: context.browser()?.version() ?? 'unknown',
    call: (settings) => call(page, settings),
    async [Symbol.asyncDispose]() {
      await context.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function call(page: Page, settings: CallSettings): Promise<CallResult> {
  return page.evaluate(
    (given) =>
      (globalThis as unknown as { makeCall(given: CallSettings): Promise<CallResult> }).makeCall(
        given,
      ),
    settings,
  )
}
