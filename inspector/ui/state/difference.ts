import type { Json } from '../../protocol/actors.ts'

export interface Change {
  readonly kind: 'added' | 'changed' | 'removed'
  readonly before: Json | undefined
}

const deepest = 12
const most = 500

/**
 * What differs between two values, by path: `.orders.inFlight`. An object that is new or gone is one change, a list is
 * compared by index.
 */
export const changesBetween = (before: Json | undefined, after: Json | undefined): ReadonlyMap<string, Change> => {
  const changes = new Map<string, Change>()
  compare(before, after, '', 0, changes)
  return changes
}

const compare = (
  before: Json | undefined,
  after: Json | undefined,
  path: string,
  depth: number,
  changes: Map<string, Change>,
): void => {
  if (before === after || depth > deepest || changes.size >= most) return
  if (before === undefined) changes.set(path, { kind: 'added', before })
  else if (after === undefined) changes.set(path, { kind: 'removed', before })
  else if (isBranch(before) && isBranch(after) && kindOf(before) === kindOf(after)) {
    const [old, current] = [before as Record<string, Json>, after as Record<string, Json>]
    for (const key of new Set([...Object.keys(old), ...Object.keys(current)])) {
      compare(old[key], current[key], `${path}.${key}`, depth + 1, changes)
    }
  } else changes.set(path, { kind: 'changed', before })
}

/** A list, an object, or what a tagged value stands for. */
const kindOf = (value: object): unknown => (Array.isArray(value) ? 'list' : '$' in value ? value.$ : 'object')

const isBranch = (value: Json): value is Exclude<Json, string | number | boolean | null> =>
  typeof value === 'object' && value !== null
