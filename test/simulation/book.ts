import type { Process } from './process.ts'
import type { Time } from './time.ts'

/** What the simulation itself knows: who sent what, who ran what, what took effect. The product has no part in it. */
export type Kind = 'plain' | 'dedup' | 'ledger' | 'stock' | 'long' | 'poison' | 'hang' | 'killer' | 'ignored' | 'nobody'

/** Kinds whose effect stands in the transaction, with the lock of the same name. */
export const atomicKinds: readonly Kind[] = ['ledger', 'stock']

export interface Sent {
  readonly id: string
  readonly kind: Kind
  readonly source: string
  readonly key: string | undefined
  /** How often its handler throws before it is done. */
  readonly failures: number
  /** The sender has heard that it was taken. */
  acked: boolean
  /** How often it was handed in. */
  times: number
}

export interface Run {
  readonly id: string
  readonly kind: Kind
  readonly key: string | undefined
  readonly process: Process
  /** Under which the process has the event, if it has it from the journal. */
  readonly lease: string | undefined
  ended: 'done' | 'failed' | undefined
}

export interface Book {
  readonly sent: Map<string, Sent>
  readonly runs: Run[]
  /** Of handlers that write on a connection of their own. */
  readonly effects: Map<string, number>
  /** What `saveCheckpoint` resolved for. */
  readonly checkpoints: Map<string, number>
  readonly faults: Record<string, number>
  readonly violations: string[]
  readonly trace: string[]
  note(process: Process | undefined, what: string): void
  violated(what: string): void
  fault(name: string): void
  runsOf(id: string): readonly Run[]
}

export const createBook = (time: Time): Book => {
  const violations: string[] = []
  const trace: string[] = []
  const runs: Run[] = []
  const faults: Record<string, number> = {}
  const note: Book['note'] = (process, what) =>
    void trace.push(`${time.now()} ${process === undefined ? '-' : process.name} ${what}`)
  return {
    sent: new Map(),
    runs,
    effects: new Map(),
    checkpoints: new Map(),
    faults,
    violations,
    trace,
    note,
    violated: (what) => {
      violations.push(what)
      note(undefined, `VIOLATION ${what}`)
    },
    fault: (name) => {
      faults[name] = (faults[name] ?? 0) + 1
    },
    runsOf: (id) => runs.filter((run) => run.id === id),
  }
}
