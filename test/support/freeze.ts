import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { until } from './until.ts'

/**
 * Stops a process, or its whole group when the number is negative, and resolves when all of it stands still. A process
 * that is about to run may run on for a while after SIGSTOP was sent. Where there is no /proc nobody can tell, and it
 * resolves at once.
 */
export const freeze = async (target: number): Promise<void> => {
  process.kill(target, 'SIGSTOP')
  await until(() => (target < 0 ? membersOf(-target) : [target]).every((pid) => /^[TZ]$/.test(statOf(pid)[0] ?? 'T')))
}

const membersOf = (group: number): readonly number[] =>
  (existsSync('/proc') ? readdirSync('/proc') : []).map(Number).filter((pid) => Number(statOf(pid)[2]) === group)

/** What follows the name in `/proc/[pid]/stat`: state, parent, group and more (proc(5)). Empty when it is gone. */
const statOf = (pid: number): readonly string[] => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
