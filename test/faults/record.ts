import { inject, type TestContext, test } from 'vitest'

declare module 'vitest' {
  interface ProvidedContext {
    /** `P`: within `npm test`. `N`: `npm run test:faults`, with the full figures and a table of the results. */
    faultTier: 'P' | 'N'
  }
  interface TaskMeta {
    fault?: FaultRecord
  }
}

/** What a row of the fault matrix tells the table of results. */
export interface FaultRecord {
  readonly row: number
  readonly fault: string
  readonly expected: string
  readonly tier: 'P' | 'N'
  readonly measured: Measured
}

/** By the name of the figure; units stand in the names. */
export type Measured = Record<string, number | string>

export interface RowOptions<Figures extends object> {
  /** What has to be, with its figures, as it will stand in the table. */
  readonly expected: string
  /** The figures of `npm test`. Absent: the row is only run by `npm run test:faults`. */
  readonly P?: Figures
  /** The figures of `npm run test:faults`, where they are others than those of `P`. */
  readonly N?: Figures
  /** Longest run in minutes, where three are not enough. */
  readonly minutes?: { readonly P?: number; readonly N?: number }
}

/** What the body of a row may use while it runs. */
export interface RowRun {
  /** Adds to the figures of the table. Tell them before they are asserted, so that a failure shows them too. */
  measured(figures: Measured): void
  /**
   * A time of the matrix, in ms: as it stands there in tier N, which has the machine for itself; four times as long within
   * `npm test`, where other tests run beside it.
   */
  bound(ms: number): number
  /** A line for whoever waits for a long row. */
  progress(line: string): void
}

/**
 * One row of the fault matrix: a test with the row's sentence as its name, run with the figures of the tier.
 *
 * A file needs at least one row with figures of tier P, or `npm test` finds nothing in it.
 */
export const row = <Figures extends object>(
  number: number,
  fault: string,
  { expected, P, N = P, minutes = {} }: RowOptions<Figures>,
  body: (figures: Figures, run: RowRun) => Promise<void>,
): void => {
  const tier = inject('faultTier')
  const figures = tier === 'P' ? P : N
  if (figures === undefined) return
  test(`row ${number}: ${fault}`, { timeout: (minutes[tier] ?? 3) * 60_000 }, async ({
    task,
    annotate,
  }: TestContext) => {
    const record = { row: number, fault, expected, tier, measured: {} as Measured }
    task.meta.fault = record
    await body(figures, {
      measured: (more) => void Object.assign(record.measured, more),
      bound: (ms) => (tier === 'N' ? ms : 4 * ms),
      progress: (line) => void annotate(line, 'progress'),
    })
  })
}

/** The value that this share of the others does not exceed, e.g. 0.95. */
export const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)] ?? 0
