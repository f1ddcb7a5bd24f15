import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll } from 'vitest'

/**
 * Fails a test file that leaves something open: a socket, a server, a timer, a child process, a watcher.
 *
 * The names of what keeps the process alive are compared before and after the file. What is on its way out gets two
 * seconds; pipes and immediates belong to the test runner, which talks through them all the time.
 */
const runnersOwn = new Set([
  'Immediate',
  'TickObject',
  'PipeWrap',
  'MessagePort',
  'CloseReq',
  'FSReqCallback',
  'FSReqPromise',
])
const patienceMs = 2_000

const open = (): Map<string, number> => {
  const counted = new Map<string, number>()
  for (const name of process.getActiveResourcesInfo()) {
    if (!runnersOwn.has(name)) counted.set(name, (counted.get(name) ?? 0) + 1)
  }
  return counted
}

let before = new Map<string, number>()

const leaked = (): string[] =>
  [...open()]
    .filter(([name, count]) => count > (before.get(name) ?? 0))
    .map(([name, count]) => `${count - (before.get(name) ?? 0)} ${name}`)

beforeAll(() => {
  before = open()
})

afterAll(async () => {
  const deadline = performance.now() + patienceMs
  while (leaked().length > 0 && performance.now() < deadline) await sleep(20)
  const left = leaked()
  if (left.length > 0) throw new Error(`The test file leaves open: ${left.join(', ')}`)
})
