import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll } from 'vitest'

/**
 * Fails a test file that leaves something open: a socket, a server, a timer, a child process, a watcher.
 *
 * What is on its way out gets five seconds, in which a connection that the kernel tries again is there or not. Pipes and immediates are the test runner's, which talks through them.
 */
const runnersOwn = new Set(['Immediate', 'TickObject', 'PipeWrap', 'MessagePort', 'FSReqCallback', 'FSReqPromise'])
const patienceMs = 5_000

const sockets = new Set<WeakRef<Socket>>()
for (const side of ['client', 'server']) {
  subscribe(`net.${side}.socket`, (message) => sockets.add(new WeakRef((message as { socket: Socket }).socket)))
}
const openSockets = (): string[] =>
  [...sockets]
    .map((held) => held.deref())
    .filter((socket) => socket !== undefined && !socket.destroyed)
    .map((socket) => `${socket?.localPort} to ${socket?.remotePort}, ${socket?.readyState}`)

const open = (): string[] => process.getActiveResourcesInfo().filter((name) => !runnersOwn.has(name))

afterAll(async () => {
  const deadline = performance.now() + patienceMs
  while (open().length > 0 && performance.now() < deadline) await sleep(20)
  if (open().length === 0) return
  throw new Error(`The test file leaves open: ${open().join(', ')} (sockets from port: ${openSockets().join('; ')})`)
})
