import { Worker } from 'node:worker_threads'
import { until } from '../support/until.ts'

export interface FrozenCommand {
  readonly settleUpTo?: number
  readonly freezeMs?: number
  readonly ack?: true
  readonly stop?: true
}

export type FrozenReport =
  | { readonly delivered: readonly number[] }
  | { readonly joined: true }
  | { readonly awake: true }
  | { readonly stopped: true }

/** A member in a thread of its own, whose event loop can be stopped without stopping the test. */
export const freezableMember = async (workerData: { brokers: string; topic: string; groupId: string }) => {
  const delivered: number[] = []
  let joins = 0
  let awake = false
  let stopped = false
  const worker = new Worker(new URL('./kafka.frozenWorker.ts', import.meta.url), { workerData })
  worker.on('message', (report: FrozenReport) => {
    if ('delivered' in report) delivered.push(...report.delivered)
    else if ('joined' in report) joins += 1
    else if ('awake' in report) awake = true
    else stopped = true
  })
  const tell = (command: FrozenCommand) => worker.postMessage(command)
  return {
    delivered: () => delivered,
    joins: () => joins,
    awake: () => awake,
    settleAndFreeze: ({ upTo, ms }: { upTo: number; ms: number }) => tell({ settleUpTo: upTo, freezeMs: ms }),
    ackFromNowOn: () => tell({ ack: true }),
    async stop() {
      tell({ stop: true })
      await until(() => stopped)
      await worker.terminate()
    },
  }
}
