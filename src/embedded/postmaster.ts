import * as fs from 'node:fs'
import { join } from 'node:path'
import { isAlive, readIfThere, workingFolderOf } from './processes.ts'

/** A server that runs on a data folder, as its `postmaster.pid` tells. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
  /** Takes connections; not while it starts or recovers. */
  readonly ready: boolean
}

/** The living server of the data folder; not a dead one, and no stranger that has got its process number since. */
export const findPostmaster = (data: string): Postmaster | undefined => {
  const [pid, , , port, , , , status] = readIfThere(pidFile(data)).split('\n')
  if (!pid || !isAlive(Number(pid))) return undefined
  const at = workingFolderOf(Number(pid))
  if (at !== undefined && at !== fs.realpathSync(data)) return undefined
  return { pid: Number(pid), port: Number(port), ready: status?.trim() === 'ready' }
}

/**
 * Takes away what a dead server left. PostgreSQL does so by itself, but for a number that has become a zombie's or a
 * stranger's. A server that lives after all is safe: it holds a shared memory block that the next one would find.
 */
export const forgetDeadPostmaster = (data: string): void => {
  if (findPostmaster(data) === undefined) fs.rmSync(pidFile(data), { force: true })
}

const pidFile = (data: string): string => join(data, 'postmaster.pid')
