import type { Pool } from 'pg'

/**
 * What a test knows of the events it sent: it writes down an id before sending, and again when the entrance has
 * confirmed (commit, publisher confirm, 2xx). The product has no part in it.
 */
export interface Ledger {
  readonly attempted: ReadonlySet<string>
  readonly acked: ReadonlySet<string>
  /** Why an entrance did not confirm, by id. */
  readonly refused: ReadonlyMap<string, Error>
  /** False when the entrance did not confirm: such an event may have an effect, and need not. */
  send(id: string, deliver: (id: string) => Promise<unknown>): Promise<boolean>
}

export const createLedger = (): Ledger => {
  const attempted = new Set<string>()
  const acked = new Set<string>()
  const refused = new Map<string, Error>()
  return {
    attempted,
    acked,
    refused,
    async send(id, deliver) {
      attempted.add(id)
      try {
        await deliver(id)
      } catch (thrown) {
        refused.set(id, thrown instanceof Error ? thrown : new Error(String(thrown)))
        return false
      }
      acked.add(id)
      return true
    },
  }
}

export interface Verdict {
  /** Confirmed, and without an effect. */
  readonly lost: readonly string[]
  /** Effects of what was never sent. */
  readonly unexpected: readonly string[]
  readonly effects: number
  /** Runs beyond one for each effect. */
  readonly extraExecutions: number
}

/** Compares the ledger with `effects(id)` and `executions(id)`, which the handlers wrote. */
export const judge = async (database: Pool, schema: string, { attempted, acked }: Ledger): Promise<Verdict> => {
  const { rows } = await database.query<{ id: string }>(`select id from ${schema}.effects`)
  const executions = await database.query<{ n: number }>(`select count(*)::int as n from ${schema}.executions`)
  const effects = new Set(rows.map(({ id }) => id))
  return {
    lost: [...acked].filter((id) => !effects.has(id)),
    unexpected: [...effects].filter((id) => !attempted.has(id)),
    effects: rows.length,
    extraExecutions: (executions.rows[0]?.n ?? 0) - rows.length,
  }
}
