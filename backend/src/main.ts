import { enableCompileCache } from 'node:module'

// Parsed modules are kept between starts: the second start takes half the time.
enableCompileCache()
const { run } = await import('./cli/run.ts')
process.exitCode = await run(process.argv.slice(2))
