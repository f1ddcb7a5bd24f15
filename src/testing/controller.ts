import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { z } from 'zod'
import type { ControllerOutput } from '../../machines/controller.ts'
import type { Delivery, Settlement } from '../../machines/driver.ts'
import { type ArrivedEvent, identityOf } from '../../machines/event.ts'
import type { ParkedEvent } from '../../machines/journal.ts'
import type { Result } from '../../machines/protocol.ts'
import { parseDuration } from '../config/duration.ts'
import { problemsOf } from '../config/fields.ts'
import { duplicateHandlers, handler } from '../config/handlers.ts'
import { configInvalid } from '../config/problems.ts'
import type { ResolvedHandler } from '../config/resolved.ts'
import type { ControllerDefinition, Duration } from '../define.ts'
import { createManualClock } from './clock.ts'
import { createParked, parkedOf } from './journal/parked.ts'
import type { Answer } from './journal/wire.ts'
import { type Life, startLife } from './life.ts'
import { createWorld } from './world.ts'

/**
 * A controller in your test: the real machines and jobs with your handlers, a journal in memory, sources that bring what
 * you send, and a clock that stands still until you tell it to go on. No process, no port, no database.
 */
export interface TestController extends AsyncDisposable {
  /**
   * Brings an event through a source (default: the first one) and resolves when the controller has settled it for the
   * first time: handled, put off to a retry, or parked. After a crash or a drain it comes again, and what becomes of it
   * then is what you get.
   */
  send(type: string, data?: unknown, options?: SendOptions): Promise<Settled>
  /** Moves the clock; timeouts, retries and delayed events fall due. */
  advance(time: Duration): Promise<void>
  /** Resolves when nothing is in flight and nothing waits in the journal; moves the clock to whatever falls due next. */
  idle(): Promise<void>
  /**
   * As `kill -9` does: what the process held is gone, what it had not settled comes again. Resolves when the next process
   * runs. A handler that was running goes on in your test, but nothing it does has an effect any more.
   */
  crash(): Promise<void>
  /** As at a deploy: resolves when the controller has stopped, with its report. `restart` starts the next one. */
  drain(): Promise<ControllerOutput>
  restart(): Promise<void>
  /** Every settlement so far, those of retries and emitted events too. */
  readonly settled: readonly Settled[]
  /** Events that handlers emitted, from the moment they are durable. */
  readonly emitted: readonly ArrivedEvent[]
  readonly counters: Readonly<Record<string, number>>
  /** What handlers asked for through `tx`, from the moment it is committed. */
  readonly statements: readonly { readonly text: string; readonly values: readonly unknown[] }[]
  readonly parked: readonly ParkedEvent[]
  /** Hands parked events in again; gives how many. */
  redrive(): Promise<number>
}

export interface SendOptions {
  /** Name of the configured source. */
  readonly source?: string
  /** Default: a new one each time. */
  readonly id?: string
  /** The event's own lane (`partitionkey`). */
  readonly key?: string
  readonly subject?: string
  readonly traceparent?: string
}

export interface Settled {
  readonly id: string
  readonly type: string
  /** The source that brought it; `journal` for retries and emitted events. */
  readonly source: string
  readonly result: Result
  /** What the handler returned. */
  readonly value?: unknown
  readonly error?: { readonly code: string; readonly message: string }
}

export interface TestOptions {
  /** Rows for what a handler asks through `tx` (default: none). */
  readonly query?: Answer
}

/** As in a configuration; of a source only its kind and name count, nothing connects. */
export type TestDefinition = Pick<ControllerDefinition, 'handlers' | 'concurrency' | 'longConcurrency'> & {
  readonly sources?: ControllerDefinition['sources']
}

/** @throws ControllerError CONFIG_INVALID for handlers that `start` would refuse */
export const testController = async (
  definition: TestDefinition,
  { query = () => [] }: TestOptions = {},
): Promise<TestController> => {
  const clock = createManualClock()
  const world = createWorld({ ...definition, handlers: parsed(definition.handlers) }, clock, query)
  const { store } = world
  const settled: Settled[] = []
  const senders = new Map<string, ((settled: Settled) => void)[]>()
  const [firstSource = ''] = world.sources.keys()
  let ids = 0
  let life: Life | undefined

  const onSettled = (source: string, { event }: Delivery, settlement: Settlement): void => {
    const known = settledOf(source, event, settlement)
    settled.push(known)
    if (known.result !== 'released') senders.get(identityOf(event))?.shift()?.(known)
  }

  const restart = async (): Promise<void> => {
    if (life !== undefined) throw new Error('The controller runs; drain() or crash() ends it.')
    life = startLife(world, onSettled)
    await life.running
  }
  const kill = (): void => {
    life?.kill()
    life = undefined
  }
  const living = (): Life => {
    if (life === undefined) throw new Error('The controller has stopped; restart() starts the next one.')
    return life
  }

  const send: TestController['send'] = async (type, data, options = {}) => {
    const { source = firstSource, id = `test-${++ids}`, key, subject, traceparent } = options
    const kind = world.kindOf(source)
    const event: ArrivedEvent = {
      id,
      source: `koksmat:${source}`,
      type,
      data: data === undefined ? undefined : JSON.parse(JSON.stringify(data)),
      ...(key === undefined ? {} : { partitionkey: key }),
      ...(subject === undefined ? {} : { subject }),
      ...(traceparent === undefined ? {} : { traceparent }),
      kind,
      via: source,
      identified: true,
    }
    const { promise, resolve } = Promise.withResolvers<Settled>()
    const line = senders.get(identityOf(event)) ?? []
    senders.set(identityOf(event), line)
    line.push(resolve)
    if (await living().bring(source, event)) return promise
    line.splice(line.indexOf(resolve), 1)
    const duplicate: Settled = { id, type, source, result: 'duplicate' }
    settled.push(duplicate)
    return duplicate
  }

  const advance = async (ms: number): Promise<void> => {
    const until = clock.now() + ms
    await quiet()
    while (clock.step(until)) await quiet()
    clock.moveTo(until)
    await quiet()
  }

  const idle = async (): Promise<void> => {
    for (;;) {
      await quiet()
      const dueAt = world.nextDue()
      if (living().inFlight() > 0 || (dueAt !== undefined && dueAt <= clock.now())) await sleep(1)
      else if (dueAt === undefined) return
      else await advance(dueAt - clock.now())
    }
  }

  const drain = async (): Promise<ControllerOutput> => {
    const draining = living()
    draining.drain()
    let output: ControllerOutput | undefined
    void draining.stopped.then((stopped) => {
      output = stopped
    })
    while (output === undefined) {
      await quiet()
      if (!clock.step(clock.now())) await sleep(1)
    }
    kill()
    return output
  }

  await restart()
  return {
    send,
    advance: (time) => advance(parseDuration(time)),
    idle,
    crash: async () => {
      living()
      kill()
      await restart()
    },
    drain,
    restart,
    settled,
    emitted: store.emitted,
    get counters() {
      return Object.fromEntries(store.counters)
    },
    statements: store.statements,
    get parked() {
      return [...store.rows.values()].filter(({ state }) => state === 'parked').map(parkedOf)
    },
    redrive: () => createParked(store).redrive({ limit: 1_000 }),
    [Symbol.asyncDispose]: async () => kill(),
  }
}

const parsed = (handlers: TestDefinition['handlers']): readonly ResolvedHandler[] => {
  const result = z.array(handler).safeParse(handlers)
  const problems = [
    ...(result.success ? [] : problemsOf(result.error.issues, ['handlers'], handlers)),
    ...duplicateHandlers(handlers),
  ]
  if (result.data === undefined || problems.length > 0) throw configInvalid(problems)
  return result.data
}

/** Time for everything that waits for nothing but its turn. */
const quiet = async (): Promise<void> => {
  for (let turns = 0; turns < 10; turns++) await turn()
}

const settledOf = (source: string, { id, type }: ArrivedEvent, { outcome, answer }: Settlement): Settled => {
  const known = { id, type, source }
  if (answer === undefined) return { ...known, result: outcome === 'release' ? 'released' : 'done' }
  if (answer.status === 'done') return { ...known, result: 'done', value: answer.value }
  const { status, error } = answer
  const result: Result = status !== 'retrying' ? status : error === undefined ? 'moved' : 'retried'
  return error === undefined
    ? { ...known, result }
    : { ...known, result, error: { code: error.code, message: error.message } }
}
