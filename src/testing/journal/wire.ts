/** How calls of a replica reach the tables, and their answers the replica. */
export interface Wire {
  /**
   * Applied at once or later, answered at once, later or never. `patience` is what the real journal has: it asks `once`
   * and fails, or asks again `untilDone`.
   */
  call<Result>(apply: () => Result | Promise<Result>, patience: 'once' | 'untilDone'): Promise<Result>
  /** Something the journal says by itself. */
  push(tell: () => void): void
}

/** Answers a statement of a handler; whatever it would change counts only after the commit. */
export type Answer = (text: string, values: readonly unknown[]) => readonly object[]
