import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Binaries, failed, findBinaries } from './binaries.ts'
import { claimFolder } from './owner.ts'
import { findPostmaster, forgetDeadPostmaster, type Postmaster } from './postmaster.ts'
import { readIfThere } from './processes.ts'

/**
 * # The embedded PostgreSQL
 *
 * A real server, from npm, for whoever has named none: in a folder of its own, on 127.0.0.1 and a free port, with a
 * random password, and with PostgreSQL's own durability (fsync and checksums are on).
 *
 * - It runs in a session of its own: Ctrl-C ends the controller first, which stops the server last.
 * - When the controller is killed the server stays, and the next start takes it over as it is.
 * - When everything is killed the next start recovers it.
 * - A folder has one owner; a second controller is told so.
 *
 * ```
 * <folder>/cluster/data      what initdb made; appears whole, by a rename
 *          cluster/password  of the user postgres
 *          owner             the controller that uses it
 *          postgres.log      what the server says
 *          lib               links to shared libraries
 * ```
 */
export interface EmbeddedPostgres {
  readonly url: string
  readonly pid: number
  /** A server that a killed controller had left was taken over. */
  readonly reused: boolean
  /** Ends all connections, writes a checkpoint, and resolves when the server is gone. Legal twice. */
  stop(): Promise<void>
  /** The last word of a process that exits without `stop`: asks the server to end, and does not wait for it. */
  stopSync(): void
}

export interface EmbeddedPostgresOptions {
  readonly folder: string
  /** PATH. */
  readonly path: string | undefined
  /** Default: that of the server taken over, or a free one. */
  readonly port?: number
}

const startTimeoutS = 60
const fastStopTimeoutS = 5

/** @throws ControllerError EMBEDDED_POSTGRES_FAILED */
export const startEmbeddedPostgres = async (options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  const folder = resolve(options.folder)
  makeFolder(folder)
  const data = join(folder, 'cluster', 'data')
  const disown = claimFolder(folder)
  try {
    const binaries = findBinaries({ folder, data, path: options.path })
    if (!fs.existsSync(data)) await createCluster(folder, binaries)
    const left = await takeOver(data, options.port, binaries)
    const { pid, port } = left ?? (await start(folder, data, options.port ?? (await freePort()), binaries))
    return {
      url: urlOf(folder, port),
      pid,
      reused: left !== undefined,
      stop: async () => {
        await stop(data, binaries)
        disown()
      },
      stopSync: () => {
        if (findPostmaster(data)?.pid === pid) process.kill(pid, 'SIGINT')
        disown()
      },
    }
  } catch (thrown) {
    disown()
    throw thrown
  }
}

/** The address of the server that runs in the folder, for another process of the same user. */
export const findEmbeddedPostgres = (folder: string): string | undefined => {
  const postmaster = findPostmaster(join(folder, 'cluster', 'data'))
  return postmaster?.ready === true ? urlOf(folder, postmaster.port) : undefined
}

const urlOf = (folder: string, port: number): string =>
  `postgresql://postgres:${readIfThere(join(folder, 'cluster', 'password'))}@127.0.0.1:${port}/postgres`

const makeFolder = (folder: string): void => {
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (thrown) {
    throw failed(`the folder ${folder} could not be made`, thrown)
  }
}

/** In a folder of its own until it is whole: an initdb that was killed, or still runs, is in nobody's way. */
const createCluster = async (folder: string, binaries: Binaries): Promise<void> => {
  for (const name of fs.readdirSync(folder)) {
    if (name.startsWith('cluster.')) fs.rmSync(join(folder, name), { recursive: true, force: true, maxRetries: 5 })
  }
  const draft = fs.mkdtempSync(join(folder, 'cluster.'))
  const password = join(draft, 'password')
  fs.writeFileSync(password, randomBytes(24).toString('base64url'), { mode: 0o600 })
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const login = ['--username=postgres', '--auth=scram-sha-256', `--pwfile=${password}`]
  await binaries.run('initdb', ['-D', join(draft, 'data'), ...login, ...locale])
  fs.renameSync(draft, join(folder, 'cluster'))
}

/** What a killed controller left: waited for while it starts or recovers, replaced when another port is asked for. */
const takeOver = async (
  data: string,
  port: number | undefined,
  binaries: Binaries,
): Promise<Postmaster | undefined> => {
  const deadline = Date.now() + startTimeoutS * 1000
  let left = findPostmaster(data)
  while (left !== undefined && !left.ready) {
    if (Date.now() > deadline) throw failed(`the server that was left, process ${left.pid}, does not get ready`)
    await sleep(50)
    left = findPostmaster(data)
  }
  if (left === undefined || port === undefined || left.port === port) return left
  await stop(data, binaries)
  return undefined
}

const start = async (folder: string, data: string, port: number, binaries: Binaries): Promise<Postmaster> => {
  forgetDeadPostmaster(data)
  const log = join(folder, 'postgres.log')
  const settings = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=`
  await binaries
    .run('pg_ctl', ['start', '-s', '-D', data, '-l', log, '-t', String(startTimeoutS), '-o', settings])
    .catch((thrown) => {
      throw failed(`${log} says: ${readIfThere(log).trim().split('\n').slice(-5).join('\n')}`, thrown)
    })
  const postmaster = findPostmaster(data)
  if (postmaster === undefined) throw failed('the server ended at once; see postgres.log in its folder')
  return postmaster
}

const stop = async (data: string, binaries: Binaries): Promise<void> => {
  const as = (mode: 'fast' | 'immediate') =>
    binaries.run('pg_ctl', ['stop', '-s', '-D', data, '-m', mode, '-t', String(fastStopTimeoutS)])
  if (findPostmaster(data) === undefined) return
  await as('fast').catch(async (thrown) => {
    if (findPostmaster(data) !== undefined) await as('immediate')
    else if (fs.existsSync(join(data, 'postmaster.pid'))) throw thrown
  })
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
