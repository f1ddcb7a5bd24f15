import * as fs from 'node:fs'
import { join } from 'node:path'
import { failed } from './binaries.ts'
import { birthOf, isAlive, readIfThere } from './processes.ts'

/**
 * One owner a folder. The file `owner` holds the process number and birth of the controller that uses it, from before
 * the server is started until it is stopped; what a dead one left behind is taken over.
 *
 * @returns gives the folder up
 * @throws ControllerError EMBEDDED_POSTGRES_FAILED when a living process owns it
 */
export const claimFolder = (folder: string): (() => void) => {
  const file = join(folder, 'owner')
  const self = `${process.pid} ${birthOf(process.pid)}\n`
  while (!createdWith(file, self)) {
    const found = readIfThere(file)
    const [pid = '', birth = ''] = found.trim().split(' ')
    if (lives(Number(pid), birth)) throw failed(`${folder} is in use by process ${pid}; one controller a folder`)
    discard(file, found)
  }
  return () => {
    if (readIfThere(file) === self) fs.rmSync(file, { force: true })
  }
}

const lives = (pid: number, birth: string): boolean => pid > 0 && isAlive(pid) && birthOf(pid) === birth

const createdWith = (file: string, text: string): boolean => {
  try {
    fs.writeFileSync(file, text, { flag: 'wx' })
    return true
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw failed(`${file} could not be written`, thrown)
  }
}

/** Moves the dead owner's file away; another starter's fresh one, moved by accident in between, goes back. */
const discard = (file: string, found: string): void => {
  const aside = `${file}.${process.pid}`
  try {
    fs.renameSync(file, aside)
    if (fs.readFileSync(aside, 'utf8') !== found) fs.renameSync(aside, file)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw failed(`${file} could not be replaced`, thrown)
  }
  fs.rmSync(aside, { force: true })
}
