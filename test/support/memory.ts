import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DrivenProcess } from './processDriver.ts'
import { until } from './until.ts'

/** For the environment of a process whose garbage a test collects. */
export const collectable: Readonly<Record<string, string>> = {
  NODE_OPTIONS: `--expose-gc --import ${join(import.meta.dirname, 'collectable.ts')}`,
}

/** Has a process collect its garbage, so that what it holds can be told from what it has allocated. */
export const collect = async (running: DrivenProcess): Promise<void> => {
  const times = (): number => running.output().split('collected').length
  const before = times()
  running.signal('SIGUSR2')
  await until(() => times() > before)
}

/** Memory of a process in MB: what is resident now, or the most since `forgetPeak`. */
export const residentMb = ({ pid }: DrivenProcess, what: 'now' | 'peak' = 'now'): number => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const [, kilobytes] = new RegExp(`${what === 'now' ? 'VmRSS' : 'VmHWM'}:\\s+(\\d+)`).exec(status) ?? []
  return Number(kilobytes) / 1_024
}

export const forgetPeak = ({ pid }: DrivenProcess): void => writeFileSync(`/proc/${pid}/clear_refs`, '5')
