import { createHmac, randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { latencyOf } from './measure.ts'

/**
 * Sends webhooks over keep-alive connections, one request at a time on each, and tells how long the answers took. A
 * process of its own, so that its work is not the server's; sockets instead of `node:http`, so that it is less of it.
 */
export interface SenderTask {
  readonly path: string
  readonly secret: string
  readonly requests: number
  readonly connections: number
  /** Requests a second; absent: as fast as the answers come. */
  readonly perSecond?: number
  /** Each event says in its data when it was due. */
  readonly timed?: boolean
}

/** A task is made ready first, with all requests but timed ones, and then sent to a port. */
export type SenderCommand = { readonly task: SenderTask } | { readonly port: number }

const bodyStart = Buffer.from('\r\n\r\n')
const contentLength = /content-length: (\d+)/i

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

/** The status of an answer that is all there. */
const statusOf = (bytes: Buffer): number | undefined => {
  const start = bytes.indexOf(bodyStart)
  if (start < 0) return undefined
  const head = bytes.toString('latin1', 0, start)
  const length = Number(contentLength.exec(head)?.[1] ?? 0)
  return bytes.length < start + bodyStart.length + length ? undefined : Number(head.slice(9, 12))
}

const ready = (task: SenderTask) => {
  const { requests, connections, perSecond, timed = false } = task
  const prepared = timed ? [] : Array.from({ length: requests }, (_, no) => requestOf(task, no + 1))

  return async (port: number) => {
    const millis: number[] = []
    const statuses: Record<number, number> = {}
    let next = 0
    const startedAt = performance.now()
    const dueAt = (no: number): number => startedAt + (perSecond === undefined ? 0 : (no / perSecond) * 1_000)

    const worker = (): Promise<void> =>
      new Promise((resolve, reject) => {
        const socket = connect({ port, host: '127.0.0.1', noDelay: true })
        let held = Buffer.alloc(0)
        let from = 0
        const write = (no: number): void => {
          // From the moment it was due: a sender that had to wait for a free connection has waited too.
          from = perSecond === undefined ? performance.now() : dueAt(no)
          socket.write(prepared[no] ?? requestOf(task, no + 1, performance.timeOrigin + from))
        }
        const ask = (): void => {
          if (next >= requests) return void socket.destroy()
          const no = next++
          const waitMs = dueAt(no) - performance.now()
          if (waitMs > 1) setTimeout(write, waitMs, no)
          else write(no)
        }
        socket.on('data', (chunk) => {
          held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
          const status = statusOf(held)
          if (status === undefined) return
          held = held.subarray(0, 0)
          millis.push(performance.now() - from)
          statuses[status] = (statuses[status] ?? 0) + 1
          ask()
        })
        socket.once('connect', ask).once('error', reject).once('close', resolve)
      })

    await Promise.all(Array.from({ length: connections }, worker))
    return { statuses, latency: latencyOf(millis) }
  }
}

export type Sent = Awaited<ReturnType<ReturnType<typeof ready>>>

let send: ReturnType<typeof ready> | undefined

process.on('message', (command: SenderCommand) => {
  if ('port' in command) void send?.(command.port).then((sent) => process.send?.(sent))
  else {
    send = ready(command.task)
    process.send?.('ready')
  }
})
