import { ControllerError } from '../../../machines/errors.ts'
import { type ArrivedEvent, identityOf } from '../../../machines/event.ts'
import type { Arrival, AttemptRecord, Claimed } from '../../../machines/journal.ts'
import type { Clock } from '../../jobs/deadlines.ts'

/**
 * The tables of the journal, in memory: what its contract (`machines/journal.ts`) promises of rows, leases, marks and
 * begun runs, without Postgres. Each function is one statement: it happens as a whole or, when it throws, not at all.
 */
export interface Row {
  readonly seq: string
  queue: string
  event: ArrivedEvent
  /** The payload as it is stored; undefined: none. */
  json: string | undefined
  raw: Uint8Array | undefined
  state: 'ready' | 'leased' | 'parked'
  readonly priority: number
  dueAt: number
  leaseBy: string | undefined
  redelivered: boolean
  attempts: number
  checkpoint: string | undefined
  history: readonly AttemptRecord[]
  parkedAt: number | undefined
}

export interface BegunRun {
  deaths: number
  leaseBy: string | undefined
  /** It is held back, and does not run. */
  held: boolean
  /** Processes that died while it was held back. */
  passed: number
}

export interface Replica {
  aliveUntil: number
  /** When its session ended without a word. */
  lostAt: number | undefined
}

export interface Store {
  readonly clock: StoreClock
  readonly rows: Map<string, Row>
  /** Dedup marks by identity: until when. */
  readonly seen: Map<string, number>
  readonly begun: Map<string, BegunRun>
  readonly counters: Map<string, number>
  readonly replicas: Map<string, Replica>
  /** What handlers have asked for through `tx`, committed, in order. */
  readonly statements: { readonly text: string; readonly values: readonly unknown[] }[]
  /** What handlers have emitted, committed, in order. */
  readonly emitted: ArrivedEvent[]
  rowOf(event: Pick<ArrivedEvent, 'source' | 'id'>): Row | undefined
  insert(row: NewRow): Row | undefined
  remove(row: Row): void
  claim(queue: string, limit: number, replica: string): readonly Claimed[]
  isSeen(event: Pick<ArrivedEvent, 'source' | 'id'>): boolean
  /** Writes a mark; false when there is one. */
  mark(event: ArrivedEvent, keepMs: number): boolean
  /** Rows of the queue fall due in so many ms. */
  wake(queue: string, inMs: number): void
  /** Where rows that became ready are announced. */
  onWake(listener: (queue: string) => void): () => void
  register(leaseMs: number): string
  /** Makes ready what is leased to replicas that are not there. */
  freeOrphans(): void
}

export interface StoreClock extends Clock {
  now(): number
}

export interface NewRow extends Arrival {
  readonly queue: string
  readonly state?: Row['state']
  readonly priority?: number
  readonly dueInMs?: number
  readonly leaseBy?: string
  readonly attempts?: number
  readonly history?: readonly AttemptRecord[]
  readonly raw?: Uint8Array
}

export const createStore = (clock: StoreClock): Store => {
  const rows = new Map<string, Row>()
  const identities = new Map<string, Row>()
  const seen = new Map<string, number>()
  const replicas = new Map<string, Replica>()
  const listeners = new Set<(queue: string) => void>()
  let numbers = 0

  const isSeen: Store['isSeen'] = (event) => (seen.get(identityOf(event)) ?? 0) > clock.now()

  const wake: Store['wake'] = (queue, inMs) => {
    const tell = (): void => {
      for (const listener of listeners) listener(queue)
    }
    if (inMs <= 0) tell()
    else clock.setTimeout(tell, inMs)
  }

  return {
    clock,
    rows,
    seen,
    begun: new Map(),
    counters: new Map(),
    replicas,
    statements: [],
    emitted: [],
    rowOf: (event) => identities.get(identityOf(event)),
    insert: (given) => {
      const { event, raw } = given
      const identity = identityOf(event)
      if (identities.has(identity)) return undefined
      const bytes = raw ?? (event.data instanceof Uint8Array ? event.data : undefined)
      const row: Row = {
        seq: String(++numbers),
        queue: given.queue,
        event,
        json: bytes === undefined ? (given.json ?? JSON.stringify(event.data)) : undefined,
        raw: bytes,
        state: given.state ?? 'ready',
        priority: given.priority ?? 0,
        dueAt: clock.now() + (given.dueInMs ?? 0),
        leaseBy: given.leaseBy,
        redelivered: false,
        attempts: given.attempts ?? 0,
        checkpoint: undefined,
        history: given.history ?? [],
        parkedAt: given.state === 'parked' ? clock.now() : undefined,
      }
      rows.set(row.seq, row)
      identities.set(identity, row)
      return row
    },
    remove: (row) => {
      rows.delete(row.seq)
      identities.delete(identityOf(row.event))
    },
    claim: (queue, limit, replica) => {
      const due = [...rows.values()]
        .filter((row) => row.queue === queue && row.state === 'ready' && row.dueAt <= clock.now())
        .sort((a, b) => b.priority - a.priority || a.dueAt - b.dueAt || Number(a.seq) - Number(b.seq))
        .slice(0, Math.max(0, limit))
      for (const row of due) {
        row.state = 'leased'
        row.leaseBy = replica
      }
      return due.map(claimedOf)
    },
    isSeen,
    mark: (event, keepMs) => {
      if (isSeen(event)) return false
      seen.set(identityOf(event), clock.now() + keepMs)
      return true
    },
    wake,
    onWake: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    register: (leaseMs) => {
      const id = String(++numbers)
      replicas.set(id, { aliveUntil: clock.now() + leaseMs, lostAt: undefined })
      return id
    },
    freeOrphans: () => {
      const queues = new Set<string>()
      for (const row of rows.values()) {
        if (row.state !== 'leased' || replicas.has(row.leaseBy ?? '')) continue
        row.state = 'ready'
        row.leaseBy = undefined
        row.redelivered = true
        queues.add(row.queue)
      }
      for (const queue of queues) wake(queue, 0)
    },
  }
}

/** The row as a claim finds it: the payload is read anew each time. */
const claimedOf = ({ seq, event, json, raw, redelivered, attempts, checkpoint, leaseBy = '' }: Row): Claimed => ({
  event: { ...event, data: raw ?? (json === undefined ? undefined : JSON.parse(json)) },
  bytes: raw?.byteLength ?? json?.length ?? 0,
  redelivered,
  row: { seq, lease: leaseBy, attempts, ...(checkpoint === undefined ? {} : { checkpoint: JSON.parse(checkpoint) }) },
  ...(raw === undefined ? {} : { defect: { error: new ControllerError('EVENT_MALFORMED', 'It is no JSON.'), raw } }),
})
