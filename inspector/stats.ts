import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Collector } from './collector.ts'
import type { InspectorHost } from './host.ts'
import type { HostStatus, JobsView } from './protocol/controller.ts'
import type { Stats } from './protocol.ts'
import type { Serialize } from './serialize.ts'

/** Once a second, while somebody watches: how the process and the controller are. Keeps the last five minutes it has. */
export interface StatsSource {
  start(tell: (stats: Stats) => void): void
  stop(): void
  history(): readonly Stats[]
}

const everyMs = 1_000
const kept = 300
const resolutionMs = 10

export const createStats = (collector: Collector, statusOf: () => Promise<HostStatus | undefined>): StatsSource => {
  const history: Stats[] = []
  let timer: NodeJS.Timeout | undefined
  let delay: ReturnType<typeof monitorEventLoopDelay> | undefined
  let cpu = process.cpuUsage()
  let at = performance.now()

  const take = async (): Promise<Stats> => {
    const status = await statusOf()
    const now = performance.now()
    const { user, system } = process.cpuUsage(cpu)
    const elapsedMs = Math.max(1, now - at)
    const { rss, heapUsed } = process.memoryUsage()
    const stats: Stats = {
      type: 'stats',
      t: Date.now(),
      loopGapMs: Math.max(0, Math.round((delay?.max ?? 0) / 1e6) - resolutionMs),
      cpuPercent: Math.round((user + system) / 10 / elapsedMs),
      rssBytes: rss,
      heapBytes: heapUsed,
      actors: collector.actors.counts(),
      seen: collector.takeSeen(),
      viewers: collector.seats(),
      ...(status === undefined ? {} : { status }),
    }
    delay?.reset()
    cpu = process.cpuUsage()
    at = now
    history.push(stats)
    if (history.length > kept) history.shift()
    return stats
  }

  return {
    history: () => history,
    start: (tell) => {
      if (timer !== undefined) return
      delay = monitorEventLoopDelay({ resolution: resolutionMs })
      delay.enable()
      cpu = process.cpuUsage()
      at = performance.now()
      let busy = false
      timer = setInterval(() => {
        if (busy) return
        busy = true
        void take()
          .then(tell)
          .finally(() => {
            busy = false
          })
      }, everyMs).unref()
    },
    stop: () => {
      clearInterval(timer)
      timer = undefined
      delay?.disable()
    },
  }
}

/** The host's status, or none when it takes longer than a second or fails. */
export const statusWithin = async (
  host: InspectorHost | undefined,
  serialize: Serialize,
): Promise<HostStatus | undefined> => {
  if (host === undefined) return undefined
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const late = setTimeout(() => resolve(undefined), everyMs).unref()
  try {
    const status = await Promise.race([host.status(), promise])
    return status === undefined ? undefined : { ...status, jobs: shown(status.jobs, serialize) }
  } catch {
    return undefined
  } finally {
    clearTimeout(late)
  }
}

/** What handlers say of their progress is theirs: it is shown as any other value. */
const shown = ({ list, long, ...counts }: JobsView, serialize: Serialize): JobsView => {
  const job = <Job extends { readonly progress?: unknown }>(each: Job): Job =>
    each.progress === undefined ? each : { ...each, progress: serialize(each.progress) }
  return { ...counts, long: long.map(job), ...(list === undefined ? {} : { list: list.map(job) }) }
}
