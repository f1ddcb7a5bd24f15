import { readFileSync } from 'node:fs'
import { type AnyMachineSnapshot, type AnyStateMachine, fromCallback, transition } from 'xstate'
import { activePaths } from '../../inspector/definition.ts'
import type { Json } from '../../inspector/protocol/actors.ts'
import type { Flight, FlightActor, FlightEntry } from '../../inspector/protocol/flight.ts'
import { controllerMachine, sourceActorId } from '../../machines/controller.ts'
import { ControllerError } from '../../machines/errors.ts'
import { sourceMachine } from '../../machines/source.ts'
import { eventOf } from '../runtime/flightEvents.ts'

/**
 * Steps through a dump of the flight recorder: hands each recorded event to the machine as it is in this version, by its
 * pure transition function, and compares where it leads with where it led. No broker, no database, no clock.
 */
export interface Step {
  readonly at: string
  readonly actor: string
  readonly event: string
  /** Active states, innermost only. */
  readonly before: string
  readonly after: string
  /** Where it led when it was recorded, where that differs. */
  readonly recorded?: string
}

const nothing = (): void => undefined

/** Whom they tell is not there: what a source says to its parent and its link is not said. */
const machines: Readonly<Record<string, AnyStateMachine>> = {
  controller: controllerMachine,
  source: sourceMachine.provide({
    actors: { link: fromCallback(nothing) },
    actions: { tellLink: nothing, passCredit: nothing, tellController: nothing, report: nothing },
  }),
}

/** @throws ControllerError USAGE for a file that is no dump */
export const replay = (file: string): readonly Step[] => {
  const { actors } = read(file)
  const steps = actors.flatMap((actor) => stepsOf(actor))
  return steps.toSorted((a, b) => a.seq - b.seq).map(({ seq: _, ...step }) => step)
}

const read = (file: string): Flight => {
  try {
    const flight = JSON.parse(readFileSync(file, 'utf8')) as Partial<Flight>
    if (flight.format === 'koksmat-flight' && flight.v === 1) return flight as Flight
  } catch (cause) {
    throw new ControllerError('USAGE', `${file} could not be read as JSON.`, { cause })
  }
  throw new ControllerError('USAGE', `${file} is no dump of the flight recorder.`)
}

const stepsOf = ({ id, machine: name, from, entries }: FlightActor): (Step & { readonly seq: number })[] => {
  const machine = machines[name]
  let snapshot = machine === undefined ? undefined : restored(machine, from)
  let before = innermost(from.active)
  return entries.map((entry) => {
    const next = snapshot === undefined || machine === undefined ? undefined : advanced(machine, snapshot, entry)
    snapshot = next
    const recorded = innermost(entry.active)
    const after = next === undefined ? recorded : innermost(activePaths(next.value))
    const step = {
      seq: entry.seq,
      at: new Date(entry.at).toISOString(),
      actor: id,
      event: entry.event.type,
      before,
      after,
    }
    before = after
    return recorded === after ? step : { ...step, recorded }
  })
}

const restored = (machine: AnyStateMachine, { value, context }: FlightActor['from']): AnyMachineSnapshot =>
  machine.resolveState({ value: value as string, context: revived(context) as object })

const advanced = (machine: AnyStateMachine, snapshot: AnyMachineSnapshot, { event }: FlightEntry) => {
  const { sources = {} } = snapshot.context as { sources?: object }
  const ids = ['link', 'jobs', 'journal', 'operator', ...Object.keys(sources).map(sourceActorId)]
  const children = Object.fromEntries(ids.map((id) => [id, silent]))
  return transition(machine, { ...snapshot, children }, eventOf(revived(event) as { type: string }))[0]
}

/** Whom a machine sends to is there, and hears nothing. */
const silent = { send: () => undefined }

const innermost = (active: readonly string[]): string =>
  active.filter((path) => !active.some((other) => other.startsWith(`${path}.`))).join(' ')

/** Values as they were, as far as a machine needs them. */
const revived = (json: Json): unknown => {
  if (Array.isArray(json)) return json.map(revived)
  if (typeof json !== 'object' || json === null) return json
  const fields = json as { readonly [key: string]: Json }
  if (fields['$'] === 'undefined') return undefined
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, revived(value)]))
}

export const textOf = (steps: readonly Step[]): string => {
  const wide = (of: (step: Step) => string): number => Math.max(0, ...steps.map((step) => of(step).length))
  const [actors, events, befores] = [
    wide(({ actor }) => actor),
    wide(({ event }) => event),
    wide(({ before }) => before),
  ]
  return steps
    .map(({ at, actor, event, before, after, recorded }) => {
      const led = recorded === undefined ? '' : `   (was ${recorded})`
      return `${at} ${actor.padEnd(actors)}  ${event.padEnd(events)}  ${before.padEnd(befores)} → ${after}${led}`
    })
    .join('\n')
}
