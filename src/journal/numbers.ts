import type { Queryable } from '../../machines/journal.ts'
import type { Names } from './schema.ts'

/** Numbers for rows that are to be inserted, drawn from their sequence in blocks. One caller at a time. */
export interface Numbers {
  draw(count: number): Promise<readonly string[]>
}

const block = 1_000

export const createNumbers = (db: Queryable, { quoted }: Names): Numbers => {
  let drawn: string[] = []
  return {
    draw: async (count) => {
      if (drawn.length < count) {
        const { rows } = await db.query<{ seq: string }>(
          `select nextval('${quoted}.event_seq_seq')::text as seq from generate_series(1, $1::integer)`,
          [block + count],
        )
        drawn = drawn.concat(rows.map(({ seq }) => seq))
      }
      return drawn.splice(0, count)
    },
  }
}
