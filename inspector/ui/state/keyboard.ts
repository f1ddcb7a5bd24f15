import { signal } from '@preact/signals'
import { direction, failedOnly, internal, large, tab, tabs } from './address.ts'
import { paused } from './events.ts'

/** What the keys do, as the help shows it. */
export const keys: readonly (readonly [key: string, meaning: string])[] = [
  ['/', 'search the events'],
  ['1 … 5', 'the tabs'],
  ['j  k', 'the next and the previous event'],
  ['p', 'pause the stream of events'],
  ['f', 'only what failed'],
  ['x', 'show xstate.* too'],
  ['r', 'turn the statechart'],
  ['m', 'the statechart over the whole page, and back'],
  ['↑ ↓ ← →', 'in the tree of actors'],
  ['?', 'this help'],
]

export const helpOpen = signal(false)

/** Set by the list of events: moves the selection by so many rows. */
export const moveSelection = signal<(by: number) => void>(() => undefined)

const actions: Readonly<Record<string, () => void>> = {
  '/': () => {
    tab.value = 'events'
    requestAnimationFrame(() => document.querySelector<HTMLInputElement>('#search')?.focus())
  },
  j: () => moveSelection.peek()(1),
  k: () => moveSelection.peek()(-1),
  p: () => {
    paused.value = !paused.peek()
  },
  f: () => {
    failedOnly.value = !failedOnly.peek()
  },
  x: () => {
    internal.value = !internal.peek()
  },
  r: () => {
    direction.value = direction.peek() === 'DOWN' ? 'RIGHT' : 'DOWN'
  },
  m: () => {
    large.value = !large.peek()
  },
  '?': () => {
    helpOpen.value = true
  },
}

export const startKeyboard = (): void => {
  document.addEventListener('keydown', (pressed) => {
    if (pressed.ctrlKey || pressed.metaKey || pressed.altKey || isTyping(pressed.target)) return
    const chosen = tabs[Number(pressed.key) - 1]
    if (chosen !== undefined) tab.value = chosen
    else actions[pressed.key]?.()
    if (pressed.key === '/') pressed.preventDefault()
  })
}

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.closest('input, textarea, select, dialog') !== null
