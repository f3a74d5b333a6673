import { cpus } from 'node:os'

/** One JSON line per figure on stdout; talk goes to stderr. */
export function printFigure(name: string, values: Readonly<Record<string, unknown>>): void {
  const machine = { cpus: cpus().length, node: process.version }
  process.stdout.write(`${JSON.stringify({ figure: name, ...values, machine })}\n`)
}

export function talk(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** The value below which `share` of the samples lie. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = Float64Array.from(samples).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export const round = (value: number, digits = 0): number => Number(value.toFixed(digits))
