import type { Row } from '../../src/testing/journal/store.ts'
import { atomicKinds, type Sent } from './book.ts'
import { poisonAttempts } from './handlers.ts'
import type { World } from './world.ts'

/** What must be true when everything is over: the oracle of the fault matrix, event by event. */
export const judge = (world: World): void => {
  const { book, store } = world
  const committed = new Map<string, number>()
  for (const { values } of store.statements) {
    const id = String(values[0])
    committed.set(id, (committed.get(id) ?? 0) + 1)
  }
  const rows = new Map([...store.rows.values()].map((row) => [row.event.id, row]))
  const effectsOf = ({ id, kind }: Sent): number =>
    (atomicKinds.includes(kind) ? committed.get(id) : book.effects.get(id)) ?? 0

  for (const sent of book.sent.values()) {
    const { id, kind, acked } = sent
    const row = rows.get(id)
    const effects = effectsOf(sent)
    const parked = row?.state === 'parked' ? row : undefined
    if (!isParkable(sent) && parked !== undefined) {
      book.violated(`${id} (${kind}) is parked: ${codeOf(parked)}; effects: ${effects}`)
    }
    if (atomicKinds.includes(kind) && effects > 1) book.violated(`${id} (${kind}) has ${effects} effects`)
    if (!acked) continue
    if (hasEffect(sent) && effects === 0) book.violated(`${id} (${kind}) is lost`)
    if (isParkable(sent)) judgeParked(world, sent, parked)
    judgeRuns(world, sent)
    if ((kind === 'dedup' || atomicKinds.includes(kind)) && !book.effects.has(`${id}/1`)) {
      book.violated(`${id} (${kind}) is done, and what it emitted is lost`)
    }
  }
  for (const id of [...book.effects.keys(), ...committed.keys()]) {
    if (!book.sent.has(id.split('/')[0] ?? '')) book.violated(`${id} has an effect, and nobody sent it`)
  }
  for (const lock of atomicKinds) {
    const ids = [...committed.keys()].filter((id) => book.sent.get(id)?.kind === lock)
    if ((store.counters.get(lock) ?? 0) !== ids.length) {
      book.violated(`the counter ${lock} is ${store.counters.get(lock)} after ${ids.length} events`)
    }
  }
  const remembered = [...book.sent.values()].filter(({ kind, id }) => kind === 'dedup' && book.effects.has(id))
  if ((store.counters.get('dedup') ?? 0) !== remembered.length) {
    book.violated(`the counter dedup is ${store.counters.get('dedup')} after ${remembered.length} events`)
  }
  for (const row of store.rows.values()) {
    if (row.state !== 'parked') book.violated(`${row.event.id} still stands in the journal: ${row.state}`)
  }
  // Where a process died or lost its lease another copy of the event may have been settled; what is known of the run that
  // was given up stays until it is pruned.
  const isCut = ['kill', 'killer', 'death at a step', 'freeze'].some((name) => book.faults[name] !== undefined)
  if (isCut) return
  for (const identity of store.begun.keys()) book.violated(`the run of ${identity} is over, and its record is not`)
}

const hasEffect = ({ kind }: Sent): boolean =>
  kind === 'plain' || kind === 'dedup' || kind === 'long' || atomicKinds.includes(kind)

const isParkable = ({ kind }: Sent): boolean =>
  kind === 'poison' || kind === 'hang' || kind === 'killer' || kind === 'nobody'

const codeOf = (row: Row): string => row.history.at(-1)?.error.code ?? ''

const judgeParked = ({ book }: World, { id, kind }: Sent, parked: Row | undefined): void => {
  if (parked === undefined) {
    book.violated(`${id} (${kind}) is not parked`)
    return
  }
  const code = codeOf(parked)
  const expected = {
    poison: 'HANDLER_FAILED',
    hang: 'HANDLER_TIMED_OUT',
    killer: 'PROCESS_DIED',
    nobody: 'EVENT_UNHANDLED',
  }
  if (kind in expected && code !== expected[kind as keyof typeof expected]) {
    book.violated(`${id} (${kind}) is parked with ${code}`)
  }
  if (kind === 'poison' && parked.attempts !== poisonAttempts) {
    book.violated(`${id} (poison) is parked after ${parked.attempts} attempts`)
  }
}

/**
 * How often a fault may make one event run once more. There are two connections to a broker and two replicas whose
 * transactions are broken off; a process that was frozen for long has lost its connection and its transaction, and what it accepts or
 * claims before it registers anew is free for others at once.
 */
const costs: Readonly<Record<string, number>> = { cut: 2, 'broker down': 2, 'database down': 2, freeze: 4 }

/** A run more than planned needs a reason: a fault, a sender that sent twice, another of its transaction that failed. */
const judgeRuns = ({ book }: World, { id, kind, failures, times }: Sent): void => {
  const faults = Object.entries(book.faults).reduce((sum, [name, n]) => sum + n * (costs[name] ?? 1), 0)
  const others = atomicKinds.includes(kind)
    ? book.runs.filter((run) => run.kind === kind && run.id !== id && run.ended === 'failed').length
    : 0
  const reasons = faults + others
  const planned = kind === 'poison' ? poisonAttempts : 1 + failures
  const runs = book.runsOf(id).length
  const most = planned * (times + reasons) + reasons
  if (runs > most) book.violated(`${id} (${kind}) ran ${runs} times, at most ${most} can be explained`)
}
