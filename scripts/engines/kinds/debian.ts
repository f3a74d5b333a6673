import { join } from 'node:path'
import type { Command } from '../process.ts'

/** A program out of Debian packages that are unpacked but not installed, with its libraries. */
export function debianProgram(folder: string, name: string, args: readonly string[]): Command {
  const libraries = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].flatMap((triple) => [
    join(folder, 'usr/lib', triple),
    join(folder, 'lib', triple),
  ])
  return {
    program: join(folder, 'usr/bin', name),
    args,
    env: { LD_LIBRARY_PATH: libraries.join(':') },
  }
}
