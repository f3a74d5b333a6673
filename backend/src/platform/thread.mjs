// Every thread begins here, with the name of its module as its only argument. JavaScript, and not
// the module itself: a thread does not inherit what the process keeps of compiled modules.
import { enableCompileCache } from 'node:module'

enableCompileCache()
await import(process.argv[2])
