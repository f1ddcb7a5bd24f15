import { createHash } from 'node:crypto'
import { createLocks } from '../../src/testing/journal/locks.ts'
import { createParked } from '../../src/testing/journal/parked.ts'
import { createStore } from '../../src/testing/journal/store.ts'
import { createBook } from './book.ts'
import { createQueue } from './broker.ts'
import { createChance } from './chance.ts'
import { createClients } from './clients.ts'
import { planFaults } from './faults.ts'
import { createHosts } from './hosts.ts'
import { sound } from './mutants.ts'
import { judge } from './oracle.ts'
import { createNetwork } from './process.ts'
import { createTime, takeOverTime } from './time.ts'
import type { Mutant, World } from './world.ts'

/** One history of the world, from its seed: traffic and faults, healing, a redrive, a last drain, the verdict. */
export interface Verdict {
  readonly seed: number
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  /** Of the trace. */
  readonly digest: string
  readonly faults: Readonly<Record<string, number>>
  readonly events: number
  readonly runs: number
}

type Phase = 'chaos' | 'healing' | 'redriven' | 'stopping' | 'over'

const chaosMs = 6_000
const healWithinMs = 90_000
const calmMs = 2_000

let time = createTime()
let chance = createChance(0)
let hasTakenOver = false

export const runSeed = async (seed: number, mutant: Mutant = sound): Promise<Verdict> => {
  time = createTime()
  chance = createChance(seed)
  if (!hasTakenOver)
    takeOverTime(
      () => time,
      () => chance.next(),
    )
  hasTakenOver = true
  const book = createBook(time)
  const network = createNetwork(time, chance)
  const store = createStore({
    now: time.now,
    setTimeout: (fire, ms) => time.schedule(undefined, ms, fire),
    clearTimeout: (timer) => {
      if (timer !== undefined) time.cancel(timer as ReturnType<typeof time.schedule>)
    },
  })
  const queue = createQueue(network)
  const world: World = {
    network,
    book,
    store,
    locks: createLocks(),
    queue,
    mutant,
    settled: new Set(),
    downUntil: 0,
    brokenClaims: 0,
    brokenCommits: 0,
  }
  const hosts = createHosts(world)
  const clients = createClients(world, hosts.all)
  let phase = 'chaos' as Phase
  let deadline = 0
  let emptySince = 0

  const isEmpty = (): boolean =>
    clients.allAnswered() &&
    queue.ready() + queue.unacked() === 0 &&
    hosts.all().every(({ process }) => process.frozenUntil <= time.now()) &&
    [...store.rows.values()].every(({ state }) => state === 'parked')

  const enter = (next: Phase): void => {
    phase = next
    deadline = time.now() + healWithinMs
    emptySince = time.now()
    book.note(undefined, next)
  }

  const look = (): void => {
    if (phase === 'over') return
    const isLate = time.now() > deadline
    if (!isEmpty()) emptySince = time.now()
    const isCalm = time.now() - emptySince >= calmMs
    if (phase === 'healing' && (isCalm || isLate)) {
      if (isLate) book.violated(`not empty ${healWithinMs} ms after the faults: ${leftIn(world)}`)
      void redriveInnocents(world)
      enter('redriven')
    } else if (phase === 'redriven' && (isCalm || isLate)) {
      if (isLate) book.violated(`not empty after the redrive: ${leftIn(world)}`)
      hosts.drainAll()
      enter('stopping')
    } else if (phase === 'stopping' && (hosts.allStopped() || isLate)) {
      if (isLate) book.violated('a replica did not stop')
      phase = 'over'
      return
    }
    time.schedule(undefined, 250, look)
  }

  planFaults(world, hosts, chaosMs)
  hosts.start()
  clients.plan(chance.between(8, 40), chaosMs - 500)
  time.schedule(undefined, chaosMs, () => {
    hosts.heal()
    queue.heal()
    world.brokenClaims = 0
    world.brokenCommits = 0
    enter('healing')
    look()
  })
  await time.run(() => phase === 'over')
  if (phase !== 'over') book.violated(`nothing happens any more, and it is ${phase}`)
  judge(world)
  const { violations, trace, faults, sent, runs } = book
  const digest = createHash('sha256').update(trace.join('\n')).digest('hex').slice(0, 16)
  return { seed, violations, trace, digest, faults, events: sent.size, runs: runs.length }
}

/** Three deaths may hit one that did no harm: an operator hands it in again. */
const redriveInnocents = async ({ store, book }: World): Promise<void> => {
  const parked = createParked(store)
  for (const { seq, id } of await parked.list({ code: 'PROCESS_DIED', limit: 1_000 })) {
    if (book.sent.get(id)?.kind === 'killer') continue
    // A frozen process counts as dead too, and so does one that died after the record and before the handler.
    const deaths = ['kill', 'killer', 'death at a step', 'freeze'].reduce(
      (sum, name) => sum + (book.faults[name] ?? 0),
      0,
    )
    if (deaths < 2) book.violated(`${id} was parked with PROCESS_DIED after ${deaths} deaths`)
    book.fault('innocent')
    await parked.redrive({ seqs: [seq], limit: 1 })
  }
}

const leftIn = ({ queue, store, book }: World): string =>
  [
    `${queue.ready()} ready and ${queue.unacked()} unacknowledged messages`,
    ...[...store.rows.values()]
      .filter(({ state }) => state !== 'parked')
      .map(({ event, state, leaseBy, queue: of }) => `${event.id} ${state} ${leaseBy ?? ''} in ${of}`),
    ...[...book.sent.values()].filter(({ acked }) => !acked).map(({ id }) => `${id} not acked`),
  ].join('; ')
