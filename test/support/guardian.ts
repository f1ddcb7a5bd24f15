import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { birthOf, isAlive } from '../../src/embedded/processes.ts'

/**
 * The process that outlives a test run by a second: it ends what the run has started and removes its folder, however
 * the run ended (`end`, Ctrl-C, a crash, kill -9). It knows by its standard input, which ends with the run.
 *
 *   node guardian.ts [FOLDER]      then on stdin, a line each: a Ward as JSON
 */
export type Ward =
  /** A process, with its whole group where it leads one. */
  | { readonly pid: number; readonly group: boolean; readonly signal: NodeJS.Signals }
  /** A command that ends something elsewhere. */
  | { readonly command: readonly string[] }

const patienceMs = 5_000

const send = (target: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(target, signal)
  } catch {
    // Gone already.
  }
}

/** @returns what to do at the end; a process number that has become another's by then is left alone */
const adopt = (ward: Ward): (() => Promise<void>) => {
  if ('command' in ward) {
    const [command = '', ...args] = ward.command
    return async () => void spawnSync(command, args, { stdio: 'ignore' })
  }
  const { pid, group, signal } = ward
  const birth = birthOf(pid)
  const target = group ? -pid : pid
  return async () => {
    if (isAlive(pid) && birthOf(pid) !== birth) return
    const deadline = Date.now() + patienceMs
    send(target, signal)
    send(target, 'SIGCONT')
    while (isAlive(pid) && Date.now() < deadline) await sleep(20)
    send(target, 'SIGKILL')
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
const [folder] = process.argv.slice(2)
const ends: (() => Promise<void>)[] = []
for await (const line of createInterface(process.stdin)) ends.push(adopt(JSON.parse(line)))
await Promise.all(ends.map((end) => end()))
if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
