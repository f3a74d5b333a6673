/** Loaded before a server's own code (`--import`): its replies are checked as those in tests are. */
import http, { type RequestListener, type ServerOptions } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import { recordConformance } from './recorder.ts'

const createServer = http.createServer.bind(http)
http.createServer = ((options: ServerOptions, listener: RequestListener) =>
  createServer(options, recordConformance(listener))) as typeof http.createServer
syncBuiltinESMExports()
