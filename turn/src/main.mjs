// JavaScript, because only what is loaded from here on is kept between starts: a TypeScript file
// before would bring its compiler into memory.
import { enableCompileCache } from 'node:module'

// From the first moment on: until the program is loaded Node would end by the one of them and open
// its debugger by the other.
const early = new Set()
for (const signal of ['SIGHUP', 'SIGUSR1']) process.on(signal, () => early.add(signal))

enableCompileCache()
const { run } = await import('./cli.ts')
process.exitCode = await run(process.argv.slice(2), early)
