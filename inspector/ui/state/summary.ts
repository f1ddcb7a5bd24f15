import type { Json } from '../../protocol/actors.ts'

/**
 * What the row of an event says of its payload: first which events of the outside world it carries, where it does, then
 * the payload without quotation marks.
 */
export interface Summary {
  /** `order.created o-17`, and how many more. */
  readonly about: string | undefined
  readonly rest: string
}

const deepest = 5
const longest = 300

export const summaryOf = (payload: Json, text: string): Summary => {
  const found: string[] = []
  collect(payload, 0, found)
  const [first] = found
  const about = first === undefined || found.length === 1 ? first : `${first} and ${found.length - 1} more`
  return { about, rest: text.slice(0, longest).replace(/^\{|"/g, '').replace(/\}$/, '') }
}

/** An envelope of CloudEvents is known by its id, type and source. */
const collect = (value: Json | undefined, depth: number, into: string[]): void => {
  if (typeof value !== 'object' || value === null || depth > deepest) return
  if (!Array.isArray(value)) {
    const { id, type, source } = value as { readonly [key: string]: Json }
    if (typeof id === 'string' && typeof type === 'string' && typeof source === 'string') {
      into.push(`${type} ${id}`)
      return
    }
  }
  for (const each of Object.values(value)) collect(each, depth + 1, into)
}
