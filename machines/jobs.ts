import { Fifo } from './fifo.ts'

/**
 * Which job runs next: the decisions of the jobs actor, without IO, clock or chance.
 *
 * ```
 *   admit ──▸ lane busy? ──▸ waits in its lane ──┐
 *               │ free                           │ the one before it finished
 *               ▾                                ▾
 *             ready ◂────────────────────────────┘
 *               │ next: a slot is free (long jobs need none); atomic jobs: their lock is free
 *               ▾
 *            running ── finish ──▸ gone
 * ```
 *
 * - `open`: every admitted job will run. Jobs of one lane run in order of arrival, one at a time; jobs of one lock are
 *   handed out as one group, one group at a time; everything else in order of arrival, `concurrency` at once.
 * - `draining`: entered by `drain`. Jobs that have not begun are handed back, but for those that stand below a begun one
 *   in a stream that commits by prefix (Kafka): releasing them would run the later ones again.
 *
 * With a concurrency of 1 nothing overtakes anything, and lanes only say something to the long jobs, which run beside.
 */
export interface Job {
  /** Events with the same lane are handled in order. */
  readonly lane: string | undefined
  readonly lock: string | undefined
  readonly long: boolean
  readonly order: { readonly stream: string; readonly position: number } | undefined
}

/** What runs together: one job, or a group under one lock. */
export interface Work<Item extends Job> {
  readonly lock: string | undefined
  readonly jobs: readonly Item[]
}

export interface SchedulerLimits {
  readonly concurrency: number
  /** Most atomic jobs in one transaction (default 100). */
  readonly groupSize?: number
}

export interface Scheduler<Item extends Job> {
  admit(job: Item): void
  /** The next work to start now, if any; call until it gives nothing. */
  next(): Work<Item> | undefined
  finish(work: Work<Item>): void
  /** Begins the drain; returns the jobs to give back. */
  drain(): readonly Item[]
  /** Hands back everything that has not begun. */
  abandon(): readonly Item[]
  /**
   * Hands back those of the waiting jobs, but for what stands below a begun one in a stream that commits by prefix.
   */
  withdraw(leaves: (job: Item) => boolean): readonly Item[]
  running(): number
  waiting(): readonly Item[]
  waitingFor(lock: string): number
}

interface Lane<Item> {
  /** Admitted to `ready` or running. */
  active: number
  /** Set while all active jobs are atomic under this lock, which keeps their order by itself. */
  lock: string | undefined
  readonly queue: Fifo<Item>
}

interface Lock<Item> {
  busy: boolean
  readonly queue: Fifo<Item>
}

export const createScheduler = <Item extends Job>({
  concurrency,
  groupSize = 100,
}: SchedulerLimits): Scheduler<Item> => {
  const strict = concurrency === 1
  const lanes = new Map<string, Lane<Item>>()
  const locks = new Map<string, Lock<Item>>()
  const started = new Map<string, number>()
  const ready = new Fifo<Item | string>()
  const readyLong = new Fifo<Item>()
  let slots = 0

  const laneOf = (job: Item): string | undefined => (strict && !job.long ? undefined : job.lane)

  const lockOf = (name: string): Lock<Item> => {
    let lock = locks.get(name)
    if (lock === undefined) {
      lock = { busy: false, queue: new Fifo() }
      locks.set(name, lock)
    }
    return lock
  }

  const makeReady = (job: Item): void => {
    if (job.lock === undefined) {
      if (job.long) readyLong.push(job)
      else ready.push(job)
      return
    }
    const lock = lockOf(job.lock)
    lock.queue.push(job)
    if (strict || (lock.queue.size === 1 && !lock.busy)) ready.push(job.lock)
  }

  const admit = (job: Item): void => {
    const name = laneOf(job)
    if (name === undefined) {
      makeReady(job)
      return
    }
    const lane = lanes.get(name)
    if (lane === undefined) {
      lanes.set(name, { active: 1, lock: job.lock, queue: new Fifo() })
      makeReady(job)
    } else if (lane.queue.size === 0 && job.lock !== undefined && lane.lock === job.lock) {
      lane.active++
      makeReady(job)
    } else lane.queue.push(job)
  }

  const leaveLane = (job: Item): void => {
    const name = laneOf(job)
    if (name === undefined) return
    const lane = lanes.get(name)
    if (lane === undefined || --lane.active > 0) return
    const following = lane.queue.take()
    if (following === undefined) {
      lanes.delete(name)
      return
    }
    lane.active = 1
    lane.lock = following.lock
    makeReady(following)
  }

  const begin = (work: Work<Item>): Work<Item> => {
    for (const { order } of work.jobs) {
      if (order === undefined) continue
      const highest = started.get(order.stream)
      if (highest === undefined || order.position > highest) started.set(order.stream, order.position)
    }
    return work
  }

  /** In strict order a group ends where another job stands between. */
  const takesNext = (name: string): boolean => ready.first() === name && ready.take() === name

  const groupOf = (name: string): Work<Item> | undefined => {
    const lock = lockOf(name)
    if (lock.busy || lock.queue.size === 0) return undefined
    const jobs: Item[] = []
    do jobs.push(lock.queue.take() as Item)
    while (jobs.length < groupSize && lock.queue.size > 0 && (!strict || takesNext(name)))
    lock.busy = true
    return { lock: name, jobs }
  }

  const next = (): Work<Item> | undefined => {
    const long = readyLong.take()
    if (long !== undefined) return begin({ lock: undefined, jobs: [long] })
    while (slots < concurrency) {
      const first = ready.take()
      if (first === undefined) return undefined
      const work = typeof first === 'string' ? groupOf(first) : { lock: undefined, jobs: [first] }
      if (work === undefined) continue
      slots++
      return begin(work)
    }
    return undefined
  }

  const finish = (work: Work<Item>): void => {
    if (work.lock !== undefined) {
      const lock = lockOf(work.lock)
      lock.busy = false
      if (!strict && lock.queue.size > 0) ready.push(work.lock)
    }
    if (work.lock !== undefined || !work.jobs[0]?.long) slots--
    for (const job of work.jobs) leaveLane(job)
  }

  const waiting = (): readonly Item[] => {
    const jobs: Item[] = []
    for (const entry of ready.all()) if (typeof entry !== 'string') jobs.push(entry)
    for (const job of readyLong.all()) jobs.push(job)
    for (const { queue } of locks.values()) for (const job of queue.all()) jobs.push(job)
    for (const { queue } of lanes.values()) for (const job of queue.all()) jobs.push(job)
    return jobs
  }

  /** Takes out every waiting job that `leaves`; the others keep their places. */
  const remove = (leaves: (job: Item) => boolean): readonly Item[] => {
    const gone = waiting().filter(leaves)
    const goneSet = new Set<Item>(gone)
    const stays = (job: Item): boolean => !goneSet.has(job)
    const behind = new Set<Item>()
    for (const { queue } of lanes.values()) for (const job of queue.all()) behind.add(job)
    ready.keep((entry) => typeof entry === 'string' || stays(entry))
    readyLong.keep(stays)
    for (const { queue } of locks.values()) queue.keep(stays)
    for (const { queue } of lanes.values()) queue.keep(stays)
    for (const job of gone) if (!behind.has(job)) leaveLane(job)
    return gone
  }

  const mayLeave = ({ order }: Item): boolean =>
    order === undefined || order.position > (started.get(order.stream) ?? -1)

  return {
    admit,
    next,
    finish,
    drain: () => remove(mayLeave),
    abandon: () => remove(() => true),
    withdraw: (leaves) => remove((job) => leaves(job) && mayLeave(job)),
    running: () => slots,
    waiting,
    waitingFor: (lock) => locks.get(lock)?.queue.size ?? 0,
  }
}
