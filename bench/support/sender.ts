import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Latency } from '../workload.ts'
import type { SenderTask, Sent } from './sender.child.ts'

/** A sender that is up and waits for its task. */
export interface Sender {
  /** Resolves when each request has been answered. @throws when one was answered with anything but 202 */
  send(task: SenderTask): Promise<Latency>
  end(): Promise<void>
}

export const startSender = async (): Promise<Sender> => {
  const child = fork(new URL('./sender.child.ts', import.meta.url))
  await once(child, 'spawn')
  const exit = once(child, 'exit')
  return {
    send: (task) => Promise.race([sendBy(child, task), exit.then(() => Promise.reject(new Error('The sender died.')))]),
    end: async () => {
      child.kill('SIGKILL')
      await exit
    },
  }
}

const sendBy = async (child: ChildProcess, task: SenderTask): Promise<Latency> => {
  const answer = once(child, 'message')
  child.send(task)
  const [{ statuses, latency }] = (await answer) as [Sent]
  if (statuses[202] !== task.requests) throw new Error(`Not all were accepted: ${JSON.stringify(statuses)}`)
  return latency
}
