import { join } from 'node:path'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { isAlive } from '../../src/embedded/processes.ts'
import { freePort } from './freePort.ts'
import { guarded } from './guarded.ts'
import type { TestServer } from './serverKinds.ts'
import { until } from './until.ts'

/** A PostgreSQL of one's own: the embedded one, in a temporary folder. */
export const startPostgresServer = async (): Promise<TestServer> => {
  const home = guarded('postgres')
  const port = await freePort()
  const start = async (): Promise<EmbeddedPostgres> => {
    const server = await startEmbeddedPostgres({ folder: join(home.folder, 'pg'), path: process.env['PATH'], port })
    home.watch({ pid: server.pid, group: false, signal: 'SIGQUIT' })
    return server
  }
  let server = await start().catch(async (thrown) => {
    await home.end()
    throw thrown
  })
  const signal = (name: NodeJS.Signals) => process.kill(server.pid, name)

  return {
    url: server.url,
    stop: async () => {
      await server.stop()
      await home.end()
    },
    restart: async () => {
      await server.stop()
      server = await start()
    },
    kill: async () => {
      const { pid } = server
      signal('SIGKILL')
      await until(() => !isAlive(pid))
    },
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
  }
}
