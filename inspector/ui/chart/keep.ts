import type { Box } from './boxes.ts'
import type { Geometry, PlacedEdge, PlacedMark, Rectangle } from './geometry.ts'
import { arrowsOf, type Chart, statesOf } from './model.ts'

/**
 * Layouts outlive the page in the browser's storage, so that a chart one has seen is there at once. Kept are numbers
 * only; states and arrows come from the definition, whose hash is in the key.
 */
interface Kept {
  readonly width: number
  readonly height: number
  readonly states: readonly (Rectangle & { readonly head: Box })[]
  readonly edges: readonly Omit<PlacedEdge, 'arrow'>[]
  readonly marks: readonly PlacedMark[]
}

const prefix = 'koksmat.chart.1.'
const most = 20

export const readGeometry = (key: string, chart: Chart): Geometry | undefined => {
  const text = localStorage.getItem(prefix + key)
  if (text === null) return undefined
  const [states, arrows] = [statesOf(chart.root), arrowsOf(chart)]
  try {
    const kept = JSON.parse(text) as Kept
    return {
      ...kept,
      states: states.map((state, i) => ({ ...at(kept.states, i), state })),
      edges: arrows.map((arrow, i) => ({ ...at(kept.edges, i), arrow })),
    }
  } catch {
    return undefined
  }
}

const at = <Item>(items: readonly Item[], i: number): Item => {
  const item = items[i]
  if (item === undefined) throw new Error('It was kept by another version of the page.')
  return item
}

export const keepGeometry = (key: string, { states, edges, ...rest }: Geometry): void => {
  const kept: Kept = {
    ...rest,
    states: states.map(({ state: _, ...numbers }) => numbers),
    edges: edges.map(({ arrow: _, ...numbers }) => numbers),
  }
  const names = Object.keys(localStorage).filter((name) => name.startsWith(prefix))
  if (names.length >= most) for (const name of names) localStorage.removeItem(name)
  try {
    localStorage.setItem(prefix + key, JSON.stringify(kept))
  } catch {
    // No room, or not allowed: it is laid out again next time.
  }
}
