import { once } from 'node:events'

/**
 * What a process holds once everything it does not need is collected, asked over its inspector (`--inspect=127.0.0.1:PORT`).
 * Without a collection the memory of a process follows what V8 was allowed to take, and says little of what is kept.
 */
export const collected = async (port: number): Promise<{ readonly rssMb: number; readonly heapMb: number }> => {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as { webSocketDebuggerUrl: string }[]
  const socket = new WebSocket(targets[0]?.webSocketDebuggerUrl ?? '')
  await once(socket, 'open')
  const asked = new Map<number, (result: { result?: { value?: string } }) => void>()
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data))
    asked.get(id)?.(result)
  })
  const call = (method: string, params = {}): Promise<{ result?: { value?: string } }> =>
    new Promise((resolve) => {
      asked.set(asked.size, resolve)
      socket.send(JSON.stringify({ id: asked.size - 1, method, params }))
    })
  try {
    await call('HeapProfiler.collectGarbage')
    const { result } = await call('Runtime.evaluate', { expression: 'JSON.stringify(process.memoryUsage())' })
    const { rss, heapUsed } = JSON.parse(result?.value ?? '{}')
    return { rssMb: rss / 2 ** 20, heapMb: heapUsed / 2 ** 20 }
  } finally {
    socket.close()
    await once(socket, 'close')
  }
}
