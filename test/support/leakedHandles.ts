import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll } from 'vitest'

/**
 * Fails a test file that leaves something open: a socket, a server, a timer, a child process, a watcher.
 *
 * What is on its way out gets two seconds. Pipes and immediates are the test runner's, which talks through them.
 */
const runnersOwn = new Set(['Immediate', 'TickObject', 'PipeWrap', 'MessagePort', 'FSReqCallback', 'FSReqPromise'])
const patienceMs = 2_000

const open = (): string[] => process.getActiveResourcesInfo().filter((name) => !runnersOwn.has(name))

afterAll(async () => {
  const deadline = performance.now() + patienceMs
  while (open().length > 0 && performance.now() < deadline) await sleep(20)
  if (open().length > 0) throw new Error(`The test file leaves open: ${open().join(', ')}`)
})
