import type { Chance } from './chance.ts'
import type { Owner, Time } from './time.ts'

/** One simulated process: it steps, it speaks to the world, it may be frozen, and it dies. */
export interface Process extends Owner {
  readonly name: string
  readonly isAlive: boolean
  frozenUntil: number
  /** Its transactions were broken off, or its handlers cancelled: what still runs there may run elsewhere too. */
  isUnsure: boolean
  /** It may die at each of its steps and before each thing it says; this is how many are left. */
  stepsToLive: number
  /** Something leaves the process; false when it has died before. */
  says(): boolean
  die(): void
  onDeath(listener: () => void): void
}

export const createProcess = (name: string): Process => {
  const listeners: (() => void)[] = []
  let alive = true
  const process: Process = {
    name,
    get isAlive() {
      return alive
    },
    frozenUntil: 0,
    isUnsure: false,
    stepsToLive: Number.POSITIVE_INFINITY,
    steps: () => {
      if (--process.stepsToLive <= 0) process.die()
    },
    says: () => {
      process.steps()
      return alive
    },
    die: () => {
      if (!alive) return
      alive = false
      for (const listener of listeners) listener()
    },
    onDeath: (listener) => void listeners.push(listener),
  }
  return process
}

/** What lies between processes and services: nothing arrives at once, now and then something takes long. */
export interface Network {
  readonly time: Time
  readonly chance: Chance
  delay(): number
  /**
   * A request and its answer. `happen` happens at the service, unless the request is lost because the process dies while
   * it is under way; the answer is lost when the process is dead.
   */
  ask<Result>(process: Process, happen: () => Result | Promise<Result>): Promise<Result>
}

export const createNetwork = (time: Time, chance: Chance): Network => {
  const delay = (): number => {
    const kind = chance.next()
    if (kind < 0.9) return chance.between(0, 3)
    return kind < 0.99 ? chance.between(3, 40) : chance.between(40, 400)
  }
  return {
    time,
    chance,
    delay,
    ask: (process, happen) =>
      new Promise((resolve, reject) => {
        if (!process.says()) return
        const isLost = chance.is(0.5)
        time.schedule(undefined, delay(), () => {
          if (!process.isAlive && isLost) return
          const answer = (tell: () => void): void => void time.schedule(process, delay(), tell)
          try {
            const result = happen()
            if (result instanceof Promise) {
              result.then(
                (value) => answer(() => resolve(value)),
                (thrown: unknown) => answer(() => reject(thrown)),
              )
            } else answer(() => resolve(result))
          } catch (thrown) {
            answer(() => reject(thrown))
          }
        })
      }),
  }
}
