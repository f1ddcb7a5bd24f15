import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { answers } from '../support/answers.ts'

/** A program that lives on an embedded PostgreSQL, as a controller does. `node embedded.child.ts FOLDER` */
const server = await startEmbeddedPostgres({ folder: process.argv[2] ?? '', path: process.env['PATH'] })
const idle = setInterval(() => {}, 1_000_000)
process.once('SIGINT', async () => {
  process.stdout.write(`asked to end, the server answers: ${await answers.postgres(server.url)}\n`)
  await server.stop()
  clearInterval(idle)
})
process.stdout.write(`${JSON.stringify({ url: server.url, pid: server.pid, reused: server.reused })}\n`)
