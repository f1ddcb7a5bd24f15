import { ControllerError } from '../../machines/errors.ts'
import { oneLine } from './redact.ts'

/** One thing that is wrong with a configuration, fit to be shown: `value` is redacted already. */
export interface Problem {
  /** Where: `sources.orders.credit`, `handlers[2].timeout`, or the name of a variable. */
  readonly path: string
  readonly value: string
  readonly problem: string
  readonly expected: string
}

/** All problems as one error, one a line. */
export const configInvalid = (problems: readonly Problem[], cause?: unknown): ControllerError => {
  const heading =
    problems.length === 1 ? 'The configuration has a problem:' : `The configuration has ${problems.length} problems:`
  const lines = problems.map(
    ({ path, value, problem, expected }) => `  ${path} (${value}): ${problem}; expected ${expected}`,
  )
  return new ControllerError('CONFIG_INVALID', [heading, ...lines.map(oneLine)].join('\n'), {
    fields: { problems },
    ...(cause === undefined ? {} : { cause }),
  })
}

/** `['sources', 'orders', 'topics', 0]` as `sources.orders.topics[0]`; the empty path is the definition itself. */
export const pathText = (path: readonly PropertyKey[]): string =>
  path.length === 0
    ? 'definition'
    : path.reduce<string>((text, part) => {
        if (typeof part === 'number') return `${text}[${part}]`
        const name = String(part)
        if (!/^[\w$-]+$/.test(name)) return `${text}[${JSON.stringify(name)}]`
        return text === '' ? name : `${text}.${name}`
      }, '')

/** The name that was probably meant, when one is near enough. */
export const nearest = (name: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const far = distance(name.toLowerCase(), candidate.toLowerCase())
    if (far < least) [best, least] = [candidate, far]
  }
  return best
}

/** How many letters to add, drop, replace or swap with their neighbour (optimal string alignment). */
export const distance = (from: string, to: string): number => {
  let before: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const line = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      let least = Math.min(at(last, column) + 1, at(line, column - 1) + 1, at(last, column - 1) + (same ? 0 : 1))
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (row > 1 && column > 1 && swapped) least = Math.min(least, at(before, column - 2) + 1)
      line.push(least)
    }
    ;[before, last] = [last, line]
  }
  return at(last, to.length)
}

const at = (line: readonly number[], column: number): number => line[column] ?? 0
