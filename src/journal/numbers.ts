import type { Queryable } from '../../machines/journal.ts'
import type { Names } from './schema.ts'

/** Numbers for rows that are to be inserted, drawn from their sequence in blocks, and ahead. One caller at a time. */
export interface Numbers {
  draw(count: number): Promise<readonly string[]>
}

const block = 2_000

export const createNumbers = (db: Queryable, { quoted }: Names): Numbers => {
  let drawn: string[] = []
  let drawing: Promise<void> | undefined

  const drawBlock = async (): Promise<void> => {
    const { rows } = await db.query<{ numbers: string }>(
      `select string_agg(nextval('${quoted}.event_seq_seq')::text, ',') as numbers from generate_series(1, ${block})`,
    )
    drawn = drawn.concat(rows.flatMap(({ numbers }) => numbers.split(',')))
  }
  const drawMore = (): Promise<void> => {
    drawing ??= drawBlock().finally(() => {
      drawing = undefined
    })
    return drawing
  }

  return {
    draw: async (count) => {
      while (drawn.length < count) await drawMore()
      const numbers = drawn.splice(0, count)
      // When it fails whoever needs more tries again.
      if (drawn.length < block / 2) drawMore().catch(() => undefined)
      return numbers
    },
  }
}
