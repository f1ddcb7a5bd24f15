import * as fs from 'node:fs'

/** What the operating system knows of a process that may be long dead, and whose number may be another's by now. */

/** The content, or nothing where there is no such file. */
export const readIfThere = (file: string): string => {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Exists and is not a zombie: a container without an init never reaps its orphans. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return !/^State:\s+[ZX]/m.test(readIfThere(`/proc/${pid}/status`))
}

/** Tells this process from a later one with the same number. Empty where the system does not say (not Linux). */
export const birthOf = (pid: number): string =>
  readIfThere(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ')[19] ?? ''

/** The folder the process works in; nothing where the system does not say (not Linux, or another user's process). */
export const workingFolderOf = (pid: number): string | undefined => {
  try {
    return fs.readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return undefined
  }
}
