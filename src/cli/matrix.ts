import { controllerMachine } from '../../machines/controller.ts'
import {
  controllerEventTypes,
  type MatrixAnswer,
  type MatrixRow,
  matrixOf,
  sourceEventTypes,
} from '../../machines/matrix.ts'
import { sourceMachine } from '../../machines/source.ts'
import { exitCodes, type Output } from './output.ts'

/** Prints what each state of each machine answers to each event. Resolves with 1 where something has no answer. */
export const showMatrix = (output: Output): number => {
  const machines = {
    controller: matrixOf(controllerMachine, controllerEventTypes),
    source: matrixOf(sourceMachine, sourceEventTypes),
  }
  const tables = Object.entries(machines).map(([name, rows]) => `${name}\n${tableOf(rows)}`)
  output.result(machines, [...tables, 'x handled   . ignored, and meant to be   ? no answer'].join('\n\n'))
  const blank = Object.values(machines).some((rows) => rows.some(({ answer }) => answer === 'blank'))
  return blank ? exitCodes.failure : exitCodes.ok
}

const symbols: Readonly<Record<MatrixAnswer, string>> = { handled: 'x', ignored: '.', blank: '?' }

/** A line a state, a column an event; the events' names are too long for a head, so they stand above with numbers. */
const tableOf = (rows: readonly MatrixRow[]): string => {
  const events = [...new Set(rows.map(({ event }) => event))]
  const states = Map.groupBy(rows, ({ state }) => state)
  const width = Math.max(...[...states.keys()].map((state) => state.length))
  const line = (name: string, cells: readonly string[]): string =>
    `  ${name.padEnd(width)} ${cells.map((cell) => cell.padStart(3)).join('')}`
  const numbers = events.map((_, index) => String(index + 1))
  return [
    ...events.map((event, index) => `  ${numbers[index]?.padStart(2)} ${event}`),
    '',
    line('', numbers),
    ...[...states].map(([state, answers]) =>
      line(
        state,
        answers.map(({ answer }) => symbols[answer]),
      ),
    ),
  ].join('\n')
}
