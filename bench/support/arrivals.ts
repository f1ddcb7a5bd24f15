import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { ArrivalsTask } from './arrivals.child.ts'

/** What sends events to a source at a steady rate; see `arrivals.child.ts`. */
export interface Arrivals {
  send(events: number, perSecond: number | undefined): Promise<void>
  close(): Promise<void>
}

/** @param name Of the queue, the topic, or the journal's schema. */
export const openArrivals = async (kind: 'rabbitmq' | 'kafka' | 'tableQueue', name: string): Promise<Arrivals> => {
  const child = fork(new URL('./arrivals.child.ts', import.meta.url), [kind, name])
  const exit = once(child, 'exit')
  const said = (): Promise<unknown> =>
    Promise.race([
      once(child, 'message'),
      exit.then(([code]) => Promise.reject(new Error(`The sender died (${code}).`))),
    ])
  await said()
  return {
    send: async (events, perSecond) => {
      const task: ArrivalsTask = { events, ...(perSecond === undefined ? {} : { perSecond }) }
      child.send(task)
      await said()
    },
    close: async () => {
      child.disconnect()
      await exit
    },
  }
}
