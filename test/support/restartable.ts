import type { Guarded, Started } from './guarded.ts'
import { ServerUnavailable, type TestServer } from './serverKinds.ts'
import { until } from './until.ts'

export interface Restartable {
  readonly home: Guarded
  readonly url: string
  /** What has to run first, once. */
  prepare(): Promise<void>
  /** Starts the process, which works on its folder in `home`. */
  spawn(): Started
  /** False, or a rejection: not yet. */
  answers(url: string): Promise<boolean>
}

/** A server that is one process and can be started again on what it has left. Nothing is left when it does not start. */
export const startRestartable = async ({ home, url, prepare, spawn, answers }: Restartable): Promise<TestServer> => {
  const start = async (): Promise<Started> => {
    const node = spawn()
    await until(() => !node.alive() || answers(url), 120_000)
    if (!node.alive()) throw new ServerUnavailable(`it did not start: ${node.said()}`)
    return node
  }
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    node.signal('SIGCONT')
    node.signal(signal)
    await node.gone
  }
  let node: Started
  try {
    await prepare()
    node = await start()
  } catch (thrown) {
    await home.end()
    throw thrown
  }
  return {
    url,
    stop: home.end,
    restart: async () => {
      await end('SIGTERM')
      node = await start()
    },
    kill: () => end('SIGKILL'),
    pause: () => node.freeze(),
    resume: () => node.signal('SIGCONT'),
  }
}
