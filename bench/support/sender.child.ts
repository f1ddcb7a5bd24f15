import { createHmac, randomUUID } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { latencyOf } from './measure.ts'

/**
 * Sends webhooks over keep-alive connections, one request at a time on each, and tells how long the answers took. A
 * process of its own, so that its work is not the server's; sockets instead of `node:http`, so that it is less of it.
 */
export interface SenderTask {
  readonly port: number
  readonly path: string
  readonly secret: string
  readonly requests: number
  readonly connections: number
  /** Requests a second; absent: as fast as the answers come. */
  readonly perSecond?: number
  /** Each event says in its data when it was due. */
  readonly timed?: boolean
}

const bodyStart = Buffer.from('\r\n\r\n')

const requestOf = ({ path, secret }: SenderTask, no: number, sentAt?: number): Buffer => {
  const body = JSON.stringify({ no, sentAt, action: 'opened', note: 'x'.repeat(100) })
  const signature = createHmac('sha256', secret).update(body).digest('hex')
  return Buffer.from(
    [
      `POST ${path} HTTP/1.1`,
      'host: 127.0.0.1',
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      `x-github-delivery: ${randomUUID()}`,
      `x-hub-signature-256: sha256=${signature}`,
      '',
      body,
    ].join('\r\n'),
  )
}

/** Resolves with the status of each answer, in the order of the requests. */
const onSocket = (socket: Socket): ((request: Buffer) => Promise<number>) => {
  let answered: ((status: number) => void) | undefined
  let held = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const start = held.indexOf(bodyStart)
    if (start < 0) return
    const head = held.toString('latin1', 0, start)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    if (held.length < start + bodyStart.length + length) return
    held = Buffer.alloc(0)
    answered?.(Number(head.slice(9, 12)))
  })
  return (request) =>
    new Promise((resolve, reject) => {
      answered = resolve
      socket.once('error', reject)
      socket.write(request, () => socket.off('error', reject))
    })
}

const send = async (task: SenderTask) => {
  const prepared = task.timed ? [] : Array.from({ length: task.requests }, (_, no) => requestOf(task, no + 1))
  const millis: number[] = []
  const statuses: Record<number, number> = {}
  let next = 0
  const startedAt = performance.now()
  const dueAt = (no: number): number => startedAt + (task.perSecond === undefined ? 0 : (no / task.perSecond) * 1_000)

  const worker = async (): Promise<void> => {
    const socket = connect({ port: task.port, host: '127.0.0.1', noDelay: true })
    await new Promise((resolve, reject) => void socket.once('connect', resolve).once('error', reject))
    const ask = onSocket(socket)
    while (next < task.requests) {
      const no = next++
      const waitMs = dueAt(no) - performance.now()
      if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs))
      // From the moment it was due: a sender that had to wait for a free connection has waited too.
      const from = task.perSecond === undefined ? performance.now() : dueAt(no)
      const status = await ask(prepared[no] ?? requestOf(task, no + 1, performance.timeOrigin + from))
      millis.push(performance.now() - from)
      statuses[status] = (statuses[status] ?? 0) + 1
    }
    socket.destroy()
  }
  await Promise.all(Array.from({ length: task.connections }, worker))
  return { statuses, latency: latencyOf(millis) }
}

export type Sent = Awaited<ReturnType<typeof send>>

process.once('message', (task: SenderTask) => {
  void send(task).then((sent) => {
    process.send?.(sent, () => process.disconnect())
  })
})
