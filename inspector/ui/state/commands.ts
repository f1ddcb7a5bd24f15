import { signal } from '@preact/signals'
import type { Ack, ControlCommand } from '../../protocol.ts'
import { wire } from './store.ts'

/** What an operator did and what came of it; shown for a while, the last one first. */
export interface Notice {
  readonly id: number
  readonly ok: boolean
  readonly text: string
}

export const notices = signal<readonly Notice[]>([])

let last = 0

export const dismiss = (id: number): void => {
  notices.value = notices.peek().filter((notice) => notice.id !== id)
}

export const notify = (ok: boolean, text: string): void => {
  last += 1
  const id = last
  notices.value = [{ id, ok, text }, ...notices.peek()].slice(0, 4)
  if (ok) window.setTimeout(() => dismiss(id), 6_000)
}

/** A command that is asked for again while it runs is not given twice. */
const running = new Set<string>()

export const command = async (order: ControlCommand, done: string, confirm?: string): Promise<Ack | undefined> => {
  const key = JSON.stringify(order)
  if (running.has(key)) return undefined
  running.add(key)
  try {
    const ack = await wire.ask({ type: 'control', command: order, ...(confirm === undefined ? {} : { confirm }) })
    if (ack.ok) notify(true, countOf(ack.result, done))
    else notify(false, `${order.name}: ${ack.error.message}`)
    return ack
  } finally {
    running.delete(key)
  }
}

const countOf = (result: unknown, done: string): string => {
  if (typeof result !== 'object' || result === null || !('count' in result)) return done
  return `${done}: ${String(result.count)}`
}

/** What is asked before something dangerous is done: a word to type, unless `word` is missing. */
export interface Question {
  readonly title: string
  readonly text: string
  readonly word: string | undefined
  readonly button: string
  yes(): void
}

export const question = signal<Question | undefined>(undefined)

export const askDrain = (): void => {
  question.value = {
    title: 'Drain and stop this controller?',
    text: 'It takes nothing new, finishes what is in flight and then ends the process. Whether it starts again is up to what runs it.',
    word: 'drain',
    button: 'Drain',
    yes: () => void command({ name: 'drain' }, 'Drain began', 'drain'),
  }
}
