// JavaScript, because only what is loaded from here on is kept between starts: a TypeScript file
// before would bring its compiler into memory.
import { enableCompileCache } from 'node:module'

enableCompileCache()
const { run } = await import('./cli.ts')
process.exitCode = await run(process.argv.slice(2))
