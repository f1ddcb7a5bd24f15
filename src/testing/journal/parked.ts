import type { Parked, ParkedEvent, ParkedFilter } from '../../../machines/journal.ts'
import type { Row, Store } from './store.ts'

/** What an operator does with parked events, over the tables in memory. */
export const createParked = (store: Store): Parked => {
  const matching = ({ seqs, source, type, code, parkedUntil, limit }: ParkedFilter): readonly Row[] =>
    [...store.rows.values()]
      .filter(
        (row) =>
          row.state === 'parked' &&
          (seqs === undefined || seqs.includes(row.seq)) &&
          (source === undefined || row.event.via === source) &&
          (type === undefined || row.event.type === type) &&
          (code === undefined || row.history.at(-1)?.error.code === code) &&
          (parkedUntil === undefined || (row.parkedAt ?? 0) <= Date.parse(parkedUntil)),
      )
      .slice(0, Math.min(limit, 1_000))

  const redrive = (row: Row): void => {
    row.state = 'ready'
    row.attempts = 0
    row.dueAt = store.clock.now()
    row.parkedAt = undefined
    row.redelivered = false
    store.wake(row.queue, 0)
  }

  return {
    list: async (filter) => matching(filter).map(parkedOf),
    show: async (seq) => matching({ seqs: [seq], limit: 1 }).map(parkedOf)[0],
    redrive: async (filter) => {
      const rows = matching(filter)
      rows.forEach(redrive)
      return rows.length
    },
    drop: async (filter) => {
      const rows = matching(filter)
      for (const row of rows) store.remove(row)
      return rows.length
    },
    edit: async (seq, json) => {
      const [row] = matching({ seqs: [seq], limit: 1 })
      if (row === undefined) return false
      row.event = { ...row.event, data: JSON.parse(json) }
      row.json = json
      row.raw = undefined
      redrive(row)
      return true
    },
    counts: async () => {
      const parked = [...store.rows.values()].filter(({ state }) => state === 'parked')
      return Object.fromEntries(
        [...Map.groupBy(parked, ({ event }) => event.via)].map(([source, rows]) => [source, rows.length]),
      )
    },
  }
}

export const parkedOf = (row: Row): ParkedEvent => {
  const { seq, event, attempts, history, parkedAt = 0, raw } = row
  const last = history.at(-1)?.error
  return {
    seq,
    id: event.id,
    type: event.type,
    via: event.via,
    attempts,
    parkedAt: new Date(parkedAt).toISOString(),
    error: { code: last?.code ?? '', message: last?.message ?? '' },
    event,
    history,
    ...(raw === undefined ? {} : { raw: Buffer.from(raw).toString('base64') }),
  }
}
