import type { Browser, Page } from 'playwright-core'

interface TraceEvent {
  readonly name: string
  readonly pid: number
  readonly tid: number
  /** Time on the processor in µs, without the time in which others had it. */
  readonly tdur?: number
  readonly args?: { readonly name?: string }
}

/** Runs `work`, and says how long the longest task of a page was, in time on the processor: a busy machine changes nothing. */
export const longestTaskMs = async <Result>(
  browser: Browser,
  page: Page | undefined,
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly longestMs: number }> => {
  await browser.startTracing(page, { categories: ['disabled-by-default-devtools.timeline'] })
  const result = await work()
  const trace = JSON.parse(String(await browser.stopTracing())) as { readonly traceEvents: readonly TraceEvent[] }
  const mains = new Set(
    trace.traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  )
  const tasks = trace.traceEvents.filter(({ name, pid, tid }) => name === 'RunTask' && mains.has(`${pid} ${tid}`))
  if (tasks.length === 0) throw new Error('The trace tells of no task.')
  return { result, longestMs: Math.max(...tasks.map(({ tdur = 0 }) => tdur)) / 1_000 }
}
