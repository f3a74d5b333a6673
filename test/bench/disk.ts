import { fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync, closeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { percentile, round } from './figure.ts'

/** Milliseconds that the disk below the temporary folder takes to make 16 KiB durable; the median. */
export function diskSyncMs(): number {
  const folder = mkdtempSync(join(tmpdir(), 'tricord-disk-'))
  const file = openSync(join(folder, 'sync'), 'w')
  try {
    const block = Buffer.alloc(16 * 1024)
    const samples = Array.from({ length: 50 }, () => {
      const startedMs = performance.now()
      writeSync(file, block)
      fdatasyncSync(file)
      return performance.now() - startedMs
    })
    return round(percentile(samples, 0.5), 2)
  } finally {
    closeSync(file)
    rmSync(folder, { recursive: true })
  }
}
