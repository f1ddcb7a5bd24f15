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
  // A process that died with an event which somebody else had settled leaves a trace of its death.
  for (const [identity, { leaseBy, deaths }] of store.begun) {
    if (leaseBy === undefined && deaths === 0) book.violated(`the run of ${identity} is over, and its record is not`)
  }
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

/** A run more than planned needs a reason: a fault, or a sender that sent twice. */
const judgeRuns = ({ book }: World, { id, kind, failures, times }: Sent): void => {
  const reasons = Object.values(book.faults).reduce((sum, n) => sum + n, 0)
  const planned = kind === 'poison' ? poisonAttempts : 1 + failures
  const runs = book.runsOf(id).length
  const most = planned * (times + reasons) + reasons
  if (runs > most) book.violated(`${id} (${kind}) ran ${runs} times, at most ${most} can be explained`)
}
