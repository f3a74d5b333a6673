// JavaScript for the same reason as main.mjs.
import { enableCompileCache } from 'node:module'

enableCompileCache()
await import('./worker.ts')
