import type { ResolvedConfig } from '../config/resolved.ts'
import type { Task } from '../jobs/task.ts'
import type { LockStatus } from '../status.ts'
import type { Assembly } from './assembly.ts'
import { lockNames } from './lockNames.ts'

type Known = Awaited<ReturnType<Assembly['journal']['locks']>>

/** Who holds each lock of the configuration, over all replicas, and who waits for it here. */
export const createLocks = (config: ResolvedConfig, { root, journal, jobs }: Assembly) => {
  const names = lockNames(config)
  return async (): Promise<Record<string, LockStatus>> => {
    if (names.length === 0 || root.getSnapshot().context.journal !== 'up') return {}
    const known = await journal.locks(names).catch((): Known => ({}))
    const here = jobs.unsettled()
    const inLock = (name: string): readonly Task[] => here.filter(({ lock }) => lock === name)
    return Object.fromEntries(names.map((name) => [name, statusOf(known[name], inLock(name))]))
  }
}

const statusOf = (known: Known[string] | undefined, here: readonly Task[]): LockStatus => {
  const now = performance.now()
  const held = here.find((task) => task.startedAt !== undefined)
  const waiting = here.filter((task) => task.startedAt === undefined)
  const longest = waiting.reduce((most, task) => Math.max(most, now - task.admittedAt), 0)
  return {
    ...(known?.holder === undefined
      ? {}
      : { holder: { ...known.holder, id: held?.event.id ?? '', type: held?.event.type ?? '' } }),
    waiting: (known?.waiting ?? 0) + waiting.length,
    longestWaitMs: Math.round(Math.max(known?.longestWaitMs ?? 0, longest)),
  }
}
