import { readFileSync, writeFileSync } from 'node:fs'
import type { DrivenProcess } from './processDriver.ts'

/** Memory of a process in MB: what is resident now, or the most since `forgetPeak`. What it holds: see `collected.ts`. */
export const residentMb = ({ pid }: DrivenProcess, what: 'now' | 'peak' = 'now'): number => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const [, kilobytes] = new RegExp(`${what === 'now' ? 'VmRSS' : 'VmHWM'}:\\s+(\\d+)`).exec(status) ?? []
  return Number(kilobytes) / 1_024
}

export const forgetPeak = ({ pid }: DrivenProcess): void => writeFileSync(`/proc/${pid}/clear_refs`, '5')
