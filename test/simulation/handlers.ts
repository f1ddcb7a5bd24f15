import type { ArrivedEvent } from '../../machines/event.ts'
import { handler } from '../../src/config/handlers.ts'
import type { ResolvedHandler } from '../../src/config/resolved.ts'
import { type AnyContext, type HandlerDefinition, type HandlerOptions, ignore } from '../../src/define.ts'
import type { Book, Kind, Run } from './book.ts'
import type { Network, Process } from './process.ts'

export const concurrency = 4
export const poisonAttempts = 3

const retry = { attempts: 6, inPlace: 1, backoff: '50ms', maxBackoff: '400ms' } as const

export interface HandlerParts {
  readonly book: Book
  readonly network: Network
  readonly process: Process
  /** Under which an event was taken from the journal. */
  leaseOf(event: ArrivedEvent): string | undefined
  /** Whoever has it lives, as far as the journal knows. */
  isGood(lease: string): boolean
}

type Handle = (event: ArrivedEvent, context: AnyContext) => Promise<unknown>

/** The handlers of one process. They sleep, fail, hang and kill as their events say, and write down what they do. */
export const handlersOf = (parts: HandlerParts): readonly ResolvedHandler[] => {
  const { book, network, process } = parts
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
  const work = (): Promise<void> => sleep(network.chance.between(0, 60))
  const effect = (id: string): Promise<void> =>
    network.ask(process, () => {
      book.note(process, `effect ${id}`)
      book.effects.set(id, (book.effects.get(id) ?? 0) + 1)
    })

  const watched =
    (kind: Kind, handle: Handle) =>
    async (event: ArrivedEvent, context: AnyContext): Promise<void> => {
      const lease = parts.leaseOf(event)
      const run: Run = { id: event.id, kind, key: event.partitionkey, process, lease, ended: undefined }
      book.runs.push(run)
      book.note(process, `begins ${kind} ${event.id} #${context.attempt}`)
      compare(parts, run)
      try {
        await handle(event, context)
        run.ended = 'done'
        book.note(process, `done ${event.id}`)
      } catch (thrown) {
        run.ended = 'failed'
        book.note(process, `failed ${event.id}`)
        throw thrown
      }
    }
  const failAsPlanned = (id: string): void => {
    const failed = book.runsOf(id).filter(({ ended }) => ended === 'failed').length
    if (failed < (book.sent.get(id)?.failures ?? 0)) throw new Error(`planned failure ${failed + 1}`)
  }
  const rule = (kind: Kind, options: HandlerOptions, handle: Handle): HandlerDefinition => ({
    type: kind,
    options,
    handle: watched(kind, handle),
  })
  const atomic = (lock: Kind): HandlerDefinition =>
    rule(lock, { atomic: lock, retry, timeout: '20s' }, async ({ id }, { tx, emit, counter }) => {
      await work()
      await tx.query('effect', [id])
      emit('plain', {})
      counter(lock).add(1)
      failAsPlanned(id)
    })

  const definitions: readonly HandlerDefinition[] = [
    rule('plain', { retry, timeout: '20s' }, async ({ id }) => {
      await work()
      failAsPlanned(id)
      await effect(id)
      await work()
    }),
    rule('dedup', { retry, dedup: '1h', timeout: '20s' }, async ({ id }, { emit, counter }) => {
      await work()
      failAsPlanned(id)
      await effect(id)
      emit('plain', {})
      counter('dedup').add(1)
    }),
    atomic('ledger'),
    atomic('stock'),
    rule('long', { long: true, retry }, async ({ id }, { checkpoint, saveCheckpoint }) => {
      const from = Number(checkpoint ?? 0)
      const saved = book.checkpoints.get(id) ?? 0
      if (from < saved && process.frozenUntil === 0) book.violated(`${id} goes on from ${from}, and ${saved} was saved`)
      for (let page = from; page < 3; page++) {
        await work()
        await saveCheckpoint(page + 1)
        book.checkpoints.set(id, page + 1)
      }
      await effect(id)
      // Sent once more it begins anew.
      book.checkpoints.delete(id)
    }),
    rule('poison', { retry: { ...retry, attempts: poisonAttempts } }, async ({ id }) => {
      await work()
      throw new Error(`poison ${id}`)
    }),
    rule('hang', { retry, timeout: '400ms' }, () => new Promise(() => undefined)),
    rule('killer', { retry }, async () => {
      await sleep(5)
      book.fault('killer')
      process.die()
    }),
    ignore('ignored'),
  ]
  return definitions.map(resolved)
}

/** Each of them is checked once, not for each process anew. */
const resolved = (definition: HandlerDefinition): ResolvedHandler => {
  const known = checked.get(definition.type) ?? handler.parse(definition)
  checked.set(definition.type, known)
  return definition.handle === undefined ? known : { ...known, handle: definition.handle }
}

const checked = new Map<string, ResolvedHandler>()

/** What must not run beside a run that begins. */
const compare = ({ book, isGood }: HandlerParts, run: Run): void => {
  const beside = book.runs.filter((other) => other !== run && other.ended === undefined && other.process.isAlive)
  const here = beside.filter(({ process, kind }) => process === run.process && kind !== 'hang')
  const holds = ({ lease, process }: Run): boolean => lease !== undefined && isGood(lease) && !process.isUnsure
  const same = holds(run)
    ? beside.find((other) => other.id === run.id && run.kind !== 'hang' && holds(other))
    : undefined
  if (same !== undefined)
    book.violated(`${run.id} begins beside its run in ${same.process.name}, and both hold its lease`)
  if (run.process.isUnsure) return
  const sameKey = run.key === undefined ? undefined : here.find(({ key }) => key === run.key)
  if (sameKey !== undefined) book.violated(`${run.id} begins beside ${sameKey.id} of the same key`)
  const slots = here.filter(({ kind }) => kind !== 'long').length + (run.kind === 'long' ? 0 : 1)
  if (slots > concurrency) book.violated(`${slots} handlers run at once in ${run.process.name}`)
  if (run.kind !== 'ledger' && run.kind !== 'stock') return
  const sameLock = beside.find(({ kind, process }) => kind === run.kind && !process.isUnsure)
  if (sameLock !== undefined) book.violated(`${run.id} begins beside ${sameLock.id} under the lock ${run.kind}`)
}
