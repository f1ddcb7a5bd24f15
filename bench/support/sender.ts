import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Latency } from '../workload.ts'
import type { SenderCommand, SenderTask, Sent } from './sender.child.ts'

/** A process that sends webhooks, one task after the other; see `sender.child.ts`. */
export interface Sender {
  /** Makes the requests. What it gives sends them, and throws when one was answered with anything but 202. */
  ready(task: SenderTask): Promise<(port: number) => Promise<Latency>>
  close(): Promise<void>
}

export const openSender = async (): Promise<Sender> => {
  const child = fork(new URL('./sender.child.ts', import.meta.url))
  const exit = once(child, 'exit')
  await once(child, 'spawn')
  const told = (command: SenderCommand): Promise<unknown> =>
    Promise.race([answerOf(child, command), exit.then(() => Promise.reject(new Error('The sender died.')))])
  return {
    ready: async (task) => {
      await told({ task })
      return async (port) => {
        const { statuses, latency } = (await told({ port })) as Sent
        if (statuses[202] !== task.requests) throw new Error(`Not all were accepted: ${JSON.stringify(statuses)}`)
        return latency
      }
    },
    close: async () => {
      child.disconnect()
      await exit
    },
  }
}

const answerOf = async (child: ChildProcess, command: SenderCommand): Promise<unknown> => {
  const answer = once(child, 'message')
  child.send(command)
  const [message] = await answer
  return message
}
