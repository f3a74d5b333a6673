// JavaScript, because only what is loaded from here on is kept between starts: a TypeScript file
// before would bring its compiler into memory, 17 MB and 50 ms.
import { enableCompileCache } from 'node:module'

enableCompileCache()
const { run } = await import('./cli/run.ts')
process.exitCode = await run(process.argv.slice(2))
