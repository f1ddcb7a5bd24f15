import type { Ledger } from '../../machines/journal.ts'
import type { sourceMachine } from '../../machines/source.ts'
import type { Locks } from '../../src/testing/journal/locks.ts'
import type { Store } from '../../src/testing/journal/store.ts'
import type { Book } from './book.ts'
import type { SimulatedQueue } from './broker.ts'
import type { Network } from './process.ts'

/** What all replicas share, and what outlives them. */
export interface World {
  readonly network: Network
  readonly book: Book
  readonly store: Store
  readonly locks: Locks
  readonly queue: SimulatedQueue
  readonly mutant: Mutant
  /** Rows of the journal with the lease under which somebody has settled them. */
  readonly settled: Set<string>
  /** Until when the journal's database does not answer. */
  downUntil: number
  /** How often a claim breaks off after the rows were leased. */
  brokenClaims: number
  /** How often a transaction breaks off after it was committed. */
  brokenCommits: number
}

/**
 * The product, broken on purpose: what stands between its parts is replaced by something that does not keep the contract.
 * The simulation has to find each of them.
 */
export interface Mutant {
  ledger?(ledger: Ledger, world: World, replica: () => string): Ledger
  /** Instead of the end of the journal. */
  close?(world: World): Promise<void>
  source?(machine: typeof sourceMachine): typeof sourceMachine
}
