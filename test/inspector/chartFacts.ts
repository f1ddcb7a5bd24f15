import type { Box, drawnChart } from './inPage.ts'

/** What a drawn statechart is held against. */

interface Defined {
  readonly path: string
  readonly transitions: readonly { readonly id: string }[]
  readonly states: readonly Defined[]
}

/** Paths and ids of the definition, as the server gives it. */
export const definitionOf = async (page: string, hash: string) => {
  const answer = await fetch(`${page}definitions/${hash}.json`)
  const all = ({ states, ...state }: Defined): readonly Omit<Defined, 'states'>[] => [state, ...states.flatMap(all)]
  const states = all(((await answer.json()) as { root: Defined }).root)
  return {
    paths: states.map(({ path }) => path),
    edges: states.flatMap(({ transitions }) => transitions.map(({ id }) => id)),
  }
}

/** Pairs that cover each other, where neither holds the other below its own text. */
export const overlaps = ({ states, labels }: ReturnType<typeof drawnChart>): readonly string[] => {
  // Half a pixel is rounding.
  const apart = (one: Box, other: Box) =>
    one.right <= other.left + 0.5 ||
    other.right <= one.left + 0.5 ||
    one.bottom <= other.top + 0.5 ||
    other.bottom <= one.top + 0.5
  const holds = (outer: Box & { textBottom?: number }, inner: Box) =>
    outer.textBottom !== undefined &&
    inner.top >= outer.textBottom - 0.5 &&
    inner.left >= outer.left &&
    inner.right <= outer.right &&
    inner.bottom <= outer.bottom
  const boxes: readonly (Box & { textBottom?: number })[] = [...states, ...labels]
  return boxes.flatMap((one, i) =>
    boxes
      .slice(i + 1)
      .filter((other) => !(apart(one, other) || holds(one, other) || holds(other, one)))
      .map((other) => `${one.name} and ${other.name}`),
  )
}
