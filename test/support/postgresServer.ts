import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { isAlive } from '../../src/embedded/processes.ts'
import { freePort } from './freePort.ts'
import { freeze } from './freeze.ts'
import { guarded } from './guarded.ts'
import type { TestServer } from './serverKinds.ts'
import { until } from './until.ts'

export interface PostgresOptions {
  /** The size of the file system that its folder is on: a tmpfs, which only root can mount. Default: that of the machine. */
  readonly diskMb?: number
  /** Called with its folder before it is first started: a cluster made there is used as it is. */
  fill?(folder: string): Promise<void>
}

export interface PostgresServer extends TestServer {
  /** Where it keeps everything; on the small disk, where there is one. */
  readonly folder: string
}

/** A PostgreSQL of one's own: the embedded one, in a temporary folder. */
export const startPostgresServer = async ({ diskMb, fill }: PostgresOptions = {}): Promise<PostgresServer> => {
  const home = guarded('postgres')
  const folder = join(home.folder, 'pg')
  if (diskMb !== undefined || fill !== undefined) mkdirSync(folder)
  if (diskMb !== undefined) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMb}m`, 'none', folder])
    home.watch({ command: ['umount', '-l', folder] })
  }
  const port = await freePort()
  const start = async (): Promise<EmbeddedPostgres> => {
    const server = await startEmbeddedPostgres({ folder, path: process.env['PATH'], port })
    home.watch({ pid: server.pid, group: false, signal: 'SIGQUIT' })
    return server
  }
  const first = async (): Promise<EmbeddedPostgres> => {
    await fill?.(folder)
    return start()
  }
  let server = await first().catch(async (thrown) => {
    await home.end()
    throw thrown
  })
  const signal = (name: NodeJS.Signals) => process.kill(server.pid, name)

  return {
    folder,
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
    pause: () => freeze(server.pid),
    resume: () => signal('SIGCONT'),
  }
}
