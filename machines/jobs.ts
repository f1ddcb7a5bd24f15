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
 * With a concurrency of 1 nothing overtakes anything: lanes say nothing then.
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
  readonly queue: Item[]
}

interface Lock<Item> {
  busy: boolean
  readonly queue: Item[]
}

export const createScheduler = <Item extends Job>({
  concurrency,
  groupSize = 100,
}: SchedulerLimits): Scheduler<Item> => {
  const strict = concurrency === 1
  const lanes = new Map<string, Lane<Item>>()
  const locks = new Map<string, Lock<Item>>()
  const started = new Map<string, number>()
  let ready: (Item | string)[] = []
  let head = 0
  let slots = 0

  const lockOf = (name: string): Lock<Item> => {
    let lock = locks.get(name)
    if (lock === undefined) {
      lock = { busy: false, queue: [] }
      locks.set(name, lock)
    }
    return lock
  }

  const makeReady = (job: Item): void => {
    if (job.lock === undefined) {
      ready.push(job)
      return
    }
    const lock = lockOf(job.lock)
    lock.queue.push(job)
    if (strict || (lock.queue.length === 1 && !lock.busy)) ready.push(job.lock)
  }

  const admit = (job: Item): void => {
    if (job.lane === undefined || strict) {
      makeReady(job)
      return
    }
    const lane = lanes.get(job.lane)
    if (lane === undefined) {
      lanes.set(job.lane, { active: 1, lock: job.lock, queue: [] })
      makeReady(job)
    } else if (lane.queue.length === 0 && job.lock !== undefined && lane.lock === job.lock) {
      lane.active++
      makeReady(job)
    } else lane.queue.push(job)
  }

  const leaveLane = (job: Item): void => {
    if (job.lane === undefined || strict) return
    const lane = lanes.get(job.lane)
    if (lane === undefined || --lane.active > 0) return
    const following = lane.queue.shift()
    if (following === undefined) {
      lanes.delete(job.lane)
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

  const groupOf = (name: string): Work<Item> | undefined => {
    const lock = lockOf(name)
    if (lock.busy || lock.queue.length === 0) return undefined
    let size = Math.min(groupSize, lock.queue.length)
    if (strict) {
      let contiguous = 1
      while (contiguous < size && ready[head] === name) {
        head++
        contiguous++
      }
      size = contiguous
    }
    lock.busy = true
    return { lock: name, jobs: lock.queue.splice(0, size) }
  }

  const next = (): Work<Item> | undefined => {
    while (head < ready.length) {
      const first = ready[head] as Item | string
      const needsSlot = typeof first === 'string' || !first.long
      if (needsSlot && slots >= concurrency) return undefined
      head++
      if (head > 1024 && head * 2 > ready.length) {
        ready = ready.slice(head)
        head = 0
      }
      if (typeof first !== 'string') {
        if (needsSlot) slots++
        return begin({ lock: undefined, jobs: [first] })
      }
      const group = groupOf(first)
      if (group === undefined) continue
      slots++
      return begin(group)
    }
    if (head > 0) {
      ready = []
      head = 0
    }
    return undefined
  }

  const finish = (work: Work<Item>): void => {
    if (work.lock !== undefined) {
      const lock = lockOf(work.lock)
      lock.busy = false
      if (!strict && lock.queue.length > 0) ready.push(work.lock)
    }
    if (work.lock !== undefined || !work.jobs[0]?.long) slots--
    for (const job of work.jobs) leaveLane(job)
  }

  const waiting = (): readonly Item[] => {
    const jobs: Item[] = []
    for (let i = head; i < ready.length; i++) {
      const entry = ready[i] as Item | string
      if (typeof entry !== 'string') jobs.push(entry)
    }
    for (const lock of locks.values()) jobs.push(...lock.queue)
    for (const lane of lanes.values()) jobs.push(...lane.queue)
    return jobs
  }

  /** Takes out every waiting job that `leaves`; the others keep their places. */
  const remove = (leaves: (job: Item) => boolean): readonly Item[] => {
    const gone = waiting().filter(leaves)
    const goneSet = new Set<Item>(gone)
    const stays = (job: Item): boolean => !goneSet.has(job)
    const admitted = new Set<Item>()
    for (const entry of ready.slice(head)) if (typeof entry !== 'string') admitted.add(entry)
    ready = ready.slice(head).filter((entry) => typeof entry === 'string' || stays(entry))
    head = 0
    for (const lock of locks.values()) {
      for (const job of lock.queue) admitted.add(job)
      lock.queue.splice(0, lock.queue.length, ...lock.queue.filter(stays))
    }
    for (const lane of lanes.values()) lane.queue.splice(0, lane.queue.length, ...lane.queue.filter(stays))
    for (const job of gone) if (admitted.has(job)) leaveLane(job)
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
    waitingFor: (lock) => locks.get(lock)?.queue.length ?? 0,
  }
}
