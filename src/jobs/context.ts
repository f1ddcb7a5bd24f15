import { ControllerError } from '../../machines/errors.ts'
import type { Arrival, Queryable } from '../../machines/journal.ts'
import { parseDuration } from '../config/duration.ts'
import type { AnyContext, EmitOptions } from '../define.ts'
import type { JobsParts, Task } from './task.ts'

/** What a handler is given, and what it has asked for when it is done. */
export interface RunContext {
  readonly context: AnyContext
  readonly emits: Arrival[]
  readonly emitDelaysMs: number[]
  readonly counters: Record<string, number>
  abort(reason: ControllerError): void
}

export const createContext = (parts: JobsParts, task: Task, attempt: number, tx: Queryable | undefined): RunContext => {
  const emits: Arrival[] = []
  const emitDelaysMs: number[] = []
  const counters: Record<string, number> = {}
  let controller: AbortController | undefined
  const signalling = (): AbortController => {
    controller ??= new AbortController()
    return controller
  }
  const { event, delivery } = task

  const emit = (type: string, data: unknown, options: EmitOptions = {}): void => {
    const { id = `${event.id}/${emits.length + 1}`, key, subject, delay } = options
    emits.push({
      event: {
        id,
        source: event.source,
        type,
        data,
        ...(subject === undefined ? {} : { subject }),
        ...(key === undefined ? {} : { partitionkey: key }),
        ...(event.traceparent === undefined ? {} : { traceparent: event.traceparent }),
        kind: 'queue.event',
        via: 'journal',
        identified: true,
      },
      json: JSON.stringify(data ?? null),
    })
    emitDelaysMs.push(delay === undefined ? 0 : parseDuration(delay))
  }

  const context: AnyContext = {
    get log() {
      return parts.log.child({ actor: 'handler', type: event.type, id: event.id })
    },
    get signal() {
      return signalling().signal
    },
    get tx() {
      if (tx !== undefined) return tx
      throw new ControllerError('HANDLER_FAILED', 'There is no `tx` here; give the handler the option `atomic`.')
    },
    attempt,
    emit,
    counter: (name) => ({
      add: (n) => {
        counters[name] = (counters[name] ?? 0) + n
      },
    }),
    draining: parts.draining,
    progress: (value) => {
      task.progress = value
    },
    checkpoint: delivery.row?.checkpoint,
    saveCheckpoint: async (data) => {
      if (delivery.row === undefined) return
      const saved = await parts.ledger.checkpoint(delivery.row, data)
      if (!saved) throw new ControllerError('LEASE_LOST', 'Another replica runs this event now; stop here.')
    },
  }
  return { context, emits, emitDelaysMs, counters, abort: (reason) => signalling().abort(reason) }
}
