import { createServer } from 'node:http'
import { startController } from '../../src/index.ts'
import definition from './controller.config.ts'

/**
 * A controller inside a web server: one process, one shutdown. Run it in this folder with `node main.ts`, ask
 * http://127.0.0.1:8080 how it is, and send it something with
 * `koksmat-controller send orders '{"order": 1}' --type order.created`. Your own imports `koksmat-controller`.
 */
const { WEB_PORT = '8080' } = process.env
const shutdown = new AbortController()
process.on('SIGTERM', () => shutdown.abort())
process.on('SIGINT', () => shutdown.abort())

const controller = await startController(definition, { signal: shutdown.signal })
const server = createServer(async (_request, response) => {
  const { state, sources } = await controller.status()
  response.end(`${JSON.stringify({ state, orders: sources['orders'] }, undefined, 2)}\n`)
}).listen(Number(WEB_PORT), '127.0.0.1')

// The controller first: what it still handles may need the rest of the program.
const { exitCode } = await controller.stopped
server.close()
server.closeIdleConnections()
process.exitCode = exitCode
