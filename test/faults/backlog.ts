import type { World } from '../e2e/lifecycle.harness.ts'

const locks = 8

/** Puts events into the table queue at once; their handlers hold one of eight locks for 1 to 10 ms each. */
export const backlog = async ({ database, ledger, name }: World, prefix: string, events: number): Promise<void> => {
  for (let from = 0; from < events; from += 1_000) {
    const ids = Array.from({ length: Math.min(1_000, events - from) }, (_, n) => `table-${prefix}-${from + n}`)
    const inserted = database.query(
      `select count(${name}_journal.enqueue($1, 'swift.' || n % $2::int, json_build_object('id', id), id))
       from unnest($3::text[]) with ordinality as sent (id, n)`,
      [name, locks, ids],
    )
    await Promise.all(ids.map((id) => ledger.send(id, () => inserted)))
  }
}
