import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from '../../src/embedded/processes.ts'

/**
 * The process that outlives a test run by a second: it ends what the run has started and removes its folder, however
 * the run ended (`stop`, Ctrl-C, a crash, kill -9). It knows by its standard input, which ends with the run.
 *
 *   node guardian.ts FOLDER      then on stdin, a line each: a process group as it is started, or a command to run
 */
export type Ward =
  | { readonly group: number; readonly signal: NodeJS.Signals }
  | { readonly pid: number; readonly signal: NodeJS.Signals }
  | { readonly command: readonly string[] }

const patienceMs = 5_000
const wards: Ward[] = []

const send = (target: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(target, signal)
  } catch {
    // Gone already.
  }
}

const end = async (ward: Ward): Promise<void> => {
  if ('command' in ward) {
    const [command = '', ...args] = ward.command
    spawnSync(command, args, { stdio: 'ignore' })
    return
  }
  const [target, leader] = 'group' in ward ? [-ward.group, ward.group] : [ward.pid, ward.pid]
  const deadline = Date.now() + patienceMs
  send(target, ward.signal)
  send(target, 'SIGCONT')
  while (isAlive(leader) && Date.now() < deadline) await sleep(20)
  send(target, 'SIGKILL')
}

const [folder] = process.argv.slice(2)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
let text = ''
for await (const chunk of process.stdin) text += chunk
for (const line of text.split('\n').filter((line) => line !== '')) wards.push(JSON.parse(line))
await Promise.all(wards.map(end))
if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
