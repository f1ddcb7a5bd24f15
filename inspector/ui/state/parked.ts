import { signal } from '@preact/signals'
import type { ParkedEventView, ParkedFilter, ParkedList } from '../../protocol/parked.ts'
import { parkedSource, tab } from './address.ts'
import { command, notify, question } from './commands.ts'
import { wire } from './store.ts'

/** Parked events as last read from the journal. */
export const parked = signal<ParkedList | undefined>(undefined)
export const parkedProblem = signal('')
export const parkedType = signal('')
export const parkedCode = signal('')
export const marked = signal<ReadonlySet<string>>(new Set())
export const opened = signal<ParkedEventView | undefined>(undefined)
export const editing = signal<string | undefined>(undefined)

/** What one command takes at most. */
export const redriveCap = 1_000

export const showParked = (source: string): void => {
  parkedSource.value = source
  tab.value = 'parked'
}

export const parkedFilter = (): ParkedFilter => ({
  ...(parkedSource.value === '' ? {} : { source: parkedSource.value }),
  ...(parkedType.value === '' ? {} : { type: parkedType.value }),
  ...(parkedCode.value === '' ? {} : { code: parkedCode.value }),
})

export const readParked = async (): Promise<void> => {
  const ack = await wire.ask({ type: 'parked', filter: { ...parkedFilter(), limit: 200 } })
  if (!ack.ok) {
    parkedProblem.value = ack.error.message
    return
  }
  const list = ack.result as ParkedList
  parkedProblem.value = ''
  parked.value = list
  const there = new Set(list.events.map(({ seq }) => seq))
  marked.value = new Set([...marked.peek()].filter((seq) => there.has(seq)))
  if (opened.peek() !== undefined && !there.has(opened.peek()?.seq ?? '')) opened.value = undefined
}

export const openParked = async (seq: string): Promise<void> => {
  const ack = await wire.ask({ type: 'parkedEvent', seq })
  if (ack.ok) {
    editing.value = undefined
    opened.value = ack.result as ParkedEventView
    return
  }
  notify(false, ack.error.message)
  void readParked()
}

type Verb = 'redrive' | 'drop'

const done = { redrive: 'Redriven', drop: 'Dropped' } as const

export const decide = async (verb: Verb, seqs: readonly string[]): Promise<void> => {
  await command({ name: verb, filter: { seqs: seqs.slice(0, redriveCap) } }, done[verb])
  await readParked()
}

export const askDrop = (seqs: readonly string[]): void => {
  question.value = {
    title: seqs.length === 1 ? 'Drop this event?' : `Drop ${seqs.length} events?`,
    text: 'It is gone for good, payload and history with it.',
    word: undefined,
    button: 'Drop',
    yes: () => void decide('drop', seqs),
  }
}

/** All that match the filters of the list; or, from the status strip, all of a source. */
export const askAll = (verb: Verb, filter: ParkedFilter): void => {
  const which = Object.entries(filter).map(([name, value]) => `${name} ${String(value)}`)
  question.value = {
    title: `${verb === 'redrive' ? 'Redrive' : 'Drop'} all parked events${which.length > 0 ? ' that match' : ''}?`,
    text: `${which.length > 0 ? `Those with ${which.join(', ')}. ` : ''}At most ${redriveCap.toLocaleString('en-US')} at once, the oldest first. ${
      verb === 'redrive'
        ? 'Each gets all its attempts anew; if the cause is not repaired, they come back here.'
        : 'They are gone for good, payload and history with them.'
    }`,
    word: verb,
    button: verb === 'redrive' ? 'Redrive' : 'Drop',
    yes: () =>
      void command({ name: verb, filter: { ...filter, limit: redriveCap } }, done[verb], verb).then(() => readParked()),
  }
}
