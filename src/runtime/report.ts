import type { SourceCounts } from '../../machines/counts.ts'
import type { SourceState } from '../../machines/protocol.ts'
import type { Task } from '../jobs/task.ts'
import type { DrainReport } from '../status.ts'

/** What a drain report is made from; times are of `performance.now()`. */
export interface DrainFacts {
  readonly clean: boolean
  readonly reason: string
  readonly phase: string
  readonly since: number
  readonly now: number
  readonly budgetMs: number
  readonly sources: readonly (readonly [name: string, state: SourceState, counts: SourceCounts])[]
  readonly unsettled: readonly Task[]
}

const mostListed = 50

export const drainReport = ({
  clean,
  reason,
  phase,
  since,
  now,
  budgetMs,
  sources,
  unsettled,
}: DrainFacts): DrainReport => ({
  clean,
  reason,
  phase,
  tookMs: Math.round(now - since),
  timeLeftMs: Math.max(0, Math.round(budgetMs - (now - since))),
  sources: Object.fromEntries(
    sources.map(([name, state, { inFlight, settled, results }]) => [
      name,
      { state, inFlight, settled, released: results.released, parked: results.parked },
    ]),
  ),
  unsettled: [...unsettled]
    .sort((a, b) => a.admittedAt - b.admittedAt)
    .slice(0, mostListed)
    .map((task) => ({
      source: task.source,
      id: task.event.id,
      type: task.event.type,
      ageMs: Math.round(now - task.admittedAt),
      state: task.startedAt === undefined ? 'waiting' : 'running',
    })),
})
