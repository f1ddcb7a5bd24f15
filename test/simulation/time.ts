import { syncBuiltinESMExports } from 'node:module'
import timersPromises from 'node:timers/promises'

/**
 * All time of the process, in the hand of the simulation: one queue of what happens when, and the timers, the clocks and
 * the chance that the product asks for. What happens at one moment happens in the order in which it was scheduled, and
 * everything that hangs on it by promises happens before the next thing; so a seed always makes the same history.
 */
export interface Time {
  now(): number
  /** `owner`: whose doing it is; it does not happen when the owner is dead, and later when it is frozen. */
  schedule(owner: Owner | undefined, ms: number, happen: () => void): Timer
  cancel(timer: Timer): void
  /** Whose doing the present moment is. */
  current(): Owner | undefined
  /** How many things of this owner are still to happen. */
  pendingOf(owner: Owner): number
  /** Lets things happen, one after the other, until `isOver` or nothing is left. */
  run(isOver: () => boolean): Promise<void>
}

export interface Owner {
  readonly isAlive: boolean
  readonly frozenUntil: number
  /** Something of its own is about to happen. */
  steps(): void
}

export interface Timer {
  readonly at: number
  readonly order: number
  readonly owner: Owner | undefined
  happen: (() => void) | undefined
}

const native = { setImmediate, setTimeout }
const turnsAtOnce = 16

export const createTime = (): Time => {
  const heap: Timer[] = []
  let moment = 0
  let orders = 0
  let current: Owner | undefined

  const push = (timer: Timer): void => {
    let place = heap.push(timer) - 1
    while (place > 0) {
      const above = (place - 1) >> 1
      if (isBefore(heap[above] as Timer, timer)) break
      heap[place] = heap[above] as Timer
      place = above
    }
    heap[place] = timer
  }

  const pop = (): Timer | undefined => {
    const [first] = heap
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let place = 0
    for (;;) {
      let below = 2 * place + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Timer, heap[below] as Timer)) below++
      if (isBefore(last, heap[below] as Timer)) break
      heap[place] = heap[below] as Timer
      place = below
    }
    heap[place] = last
    return first
  }

  const schedule: Time['schedule'] = (owner, ms, happen) => {
    const timer: Timer = { at: moment + Math.max(0, ms), order: ++orders, owner, happen }
    push(timer)
    return timer
  }

  /** False when nothing is left. */
  const step = (): boolean => {
    for (let timer = pop(); timer !== undefined; timer = pop()) {
      const { owner, happen } = timer
      if (happen === undefined || !lives(owner)) continue
      moment = Math.max(moment, timer.at)
      if (owner !== undefined && owner.frozenUntil > moment) {
        push({ ...timer, at: owner.frozenUntil })
        continue
      }
      timer.happen = undefined
      current = owner
      owner?.steps()
      if (!lives(owner)) continue
      happen()
      return true
    }
    return false
  }

  return {
    now: () => moment,
    schedule,
    cancel: (timer) => {
      timer.happen = undefined
    },
    current: () => current,
    pendingOf: (owner) => heap.filter((timer) => timer.owner === owner && timer.happen !== undefined).length,
    run: (isOver) =>
      new Promise((resolve, reject) => {
        let over = false
        let turns = 0
        const turn = (): void => {
          turns--
          if (over) return
          try {
            over = isOver() || !step()
          } catch (thrown) {
            over = true
            reject(thrown)
          }
          if (over) resolve()
          else if (turns === 0) enqueue()
        }
        // Promises are settled between two immediates of one batch as well.
        const enqueue = (): void => {
          for (turns = 0; turns < turnsAtOnce; turns++) native.setImmediate(turn)
        }
        enqueue()
      }),
  }
}

const lives = (owner: Owner | undefined): boolean => owner === undefined || owner.isAlive

const isBefore = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** A moment of the calendar to begin with. */
const epochMs = Date.UTC(2030, 0, 1)

/** Replaces timers, clocks and chance of this process, for good; `timeOf` and `chanceOf` give those of the present seed. */
export const takeOverTime = (timeOf: () => Time, chanceOf: () => number): void => {
  const set = (fire: (...values: unknown[]) => void, ms = 0, ...values: unknown[]): Timer & { unref(): unknown } => {
    const timer = timeOf().schedule(timeOf().current(), Number(ms) || 0, () => fire(...values))
    return Object.assign(timer, { ref: () => timer, unref: () => timer })
  }
  const clear = (timer: Timer | undefined): void => {
    if (timer !== undefined) timeOf().cancel(timer)
  }
  const sleep = <Value>(ms = 0, value?: Value, { signal }: { signal?: AbortSignal } = {}): Promise<Value | undefined> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const abort = (): void => {
        clear(timer)
        reject(signal?.reason)
      }
      const timer = set(() => {
        signal?.removeEventListener('abort', abort)
        resolve(value)
      }, ms)
      signal?.addEventListener('abort', abort, { once: true })
    })
  class SimulatedDate extends Date {
    static override now(): number {
      return epochMs + timeOf().now()
    }
    constructor(...given: unknown[]) {
      super(...((given.length === 0 ? [SimulatedDate.now()] : given) as [number]))
    }
  }
  Object.assign(globalThis, {
    setTimeout: set,
    clearTimeout: clear,
    setImmediate: (fire: (...values: unknown[]) => void, ...values: unknown[]) => set(fire, 0, ...values),
    clearImmediate: clear,
    setInterval: () => {
      throw new Error('The simulation knows no intervals.')
    },
    Date: SimulatedDate,
  })
  performance.now = () => timeOf().now()
  Math.random = chanceOf
  Object.assign(timersPromises, { setTimeout: sleep, setImmediate: () => sleep(0) })
  syncBuiltinESMExports()
}
