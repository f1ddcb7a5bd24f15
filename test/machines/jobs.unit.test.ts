import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createScheduler, type Job, type Scheduler, type Work } from '../../machines/jobs.ts'

interface Named extends Job {
  readonly name: string
}

const job = (name: string, more: Partial<Job> = {}): Named => ({
  name,
  lane: undefined,
  lock: undefined,
  long: false,
  order: undefined,
  ...more,
})

/** Starts all that may start now. */
const startAll = <Item extends Job>(scheduler: Scheduler<Item>): Work<Item>[] => {
  const started: Work<Item>[] = []
  for (let work = scheduler.next(); work !== undefined; work = scheduler.next()) started.push(work)
  return started
}

const names = (works: readonly Work<Named>[]): string[] =>
  works.map(({ jobs }) => jobs.map(({ name }) => name).join('+'))

const admitAll = (concurrency: number, jobs: readonly Named[], groupSize = 100): Scheduler<Named> => {
  const scheduler = createScheduler<Named>({ concurrency, groupSize })
  for (const each of jobs) scheduler.admit(each)
  return scheduler
}

const finishAll = (scheduler: Scheduler<Named>, works: readonly Work<Named>[]): void => {
  for (const work of works) scheduler.finish(work)
}

describe('the scheduler', () => {
  test('hands back those that wait for a lock when asked, and their lanes go on; what stands below a begun one stays', () => {
    const order = (position: number) => ({ order: { stream: 't/0', position } })
    const waiting = { lock: 'ledger', lane: 'ada' }
    const scheduler = admitAll(9, [job('held', { lock: 'ledger' })])
    const holding = startAll(scheduler)
    for (const each of [job('a', waiting), job('b', { lane: 'ada' }), job('low', { lock: 'ledger', ...order(1) })]) {
      scheduler.admit(each)
    }
    scheduler.admit(job('high', order(2)))
    expect(names(startAll(scheduler))).toEqual(['high'])
    expect(scheduler.withdraw(({ lock }) => lock === 'ledger').map(({ name }) => name)).toEqual(['a'])
    expect(names(startAll(scheduler))).toEqual(['b'])
    finishAll(scheduler, holding)
    expect(names(startAll(scheduler))).toEqual(['low'])
    expect(scheduler.waiting()).toEqual([])
  })

  test('runs in order of arrival, never more than the concurrency at once', () => {
    const scheduler = admitAll(2, [job('a'), job('b'), job('c'), job('d')])
    const first = startAll(scheduler)
    expect(names(first)).toEqual(['a', 'b'])
    expect(scheduler.running()).toBe(2)
    finishAll(scheduler, first.slice(1))
    expect(names(startAll(scheduler))).toEqual(['c'])
  })

  test('runs one lane in order and one at a time, and other lanes beside it', () => {
    const lane = 'customer'
    const scheduler = admitAll(4, [job('a1', { lane }), job('a2', { lane }), job('b1', { lane: 'other' }), job('c')])
    const first = startAll(scheduler)
    expect(names(first)).toEqual(['a1', 'b1', 'c'])
    finishAll(scheduler, first.slice(1))
    expect(names(startAll(scheduler))).toEqual([])
    finishAll(scheduler, first.slice(0, 1))
    expect(names(startAll(scheduler))).toEqual(['a2'])
  })

  test('hands out what waits for a lock as one group, one group at a time, no larger than the group size', () => {
    const lock = 'ledger'
    const scheduler = admitAll(
      4,
      ['a', 'b', 'c', 'd', 'e'].map((name) => job(name, { lock })),
      3,
    )
    const first = startAll(scheduler)
    expect(names(first)).toEqual(['a+b+c'])
    expect(scheduler.waitingFor(lock)).toBe(2)
    finishAll(scheduler, first)
    expect(names(startAll(scheduler))).toEqual(['d+e'])
  })

  test('two locks run beside each other', () => {
    const scheduler = admitAll(4, [job('a', { lock: 'x' }), job('b', { lock: 'y' }), job('c', { lock: 'x' })])
    expect(names(startAll(scheduler))).toEqual(['a+c', 'b'])
  })

  test('jobs of one lane under one lock share a group; another lock in the lane waits for them', () => {
    const lane = 'customer'
    const one = { lane, lock: 'x' }
    const scheduler = admitAll(4, [job('a', one), job('b', one), job('c', { lane, lock: 'y' }), job('d', one)])
    const first = startAll(scheduler)
    expect(names(first)).toEqual(['a+b'])
    finishAll(scheduler, first)
    const second = startAll(scheduler)
    expect(names(second)).toEqual(['c'])
    finishAll(scheduler, second)
    expect(names(startAll(scheduler))).toEqual(['d'])
  })

  test('long jobs need no slot and take none', () => {
    const scheduler = admitAll(2, [job('l1', { long: true }), job('l2', { long: true }), job('a'), job('b'), job('c')])
    expect(names(startAll(scheduler))).toEqual(['l1', 'l2', 'a', 'b'])
    expect(scheduler.running()).toBe(2)
  })

  test('a long job does not wait behind a short one that waits for a slot', () => {
    const scheduler = admitAll(1, [job('a'), job('b'), job('long', { long: true })])
    expect(names(startAll(scheduler))).toEqual(['long', 'a'])
  })

  test('with a concurrency of 1 the long jobs of one lane still run one at a time', () => {
    const lane = { long: true, lane: 'customer' }
    const scheduler = admitAll(1, [
      job('l1', lane),
      job('l2', lane),
      job('l3', { long: true }),
      job('a', { lane: 'customer' }),
    ])
    const first = startAll(scheduler)
    expect(names(first)).toEqual(['l1', 'l3', 'a'])
    finishAll(scheduler, first.slice(0, 1))
    expect(names(startAll(scheduler))).toEqual(['l2'])
  })

  test('with a concurrency of 1 nothing overtakes anything, and a group takes only what stands together', () => {
    const lock = 'ledger'
    const all = [job('a', { lock }), job('b', { lock }), job('c', { lane: 'x' }), job('d', { lock }), job('e')]
    const scheduler = admitAll(1, all)
    const order: string[] = []
    for (let works = startAll(scheduler); works.length > 0; works = startAll(scheduler)) {
      order.push(...names(works))
      finishAll(scheduler, works)
    }
    expect(order).toEqual(['a+b', 'c', 'd', 'e'])
  })

  test('a drain hands back what has not begun, and what runs runs on', () => {
    const lane = 'customer'
    const scheduler = admitAll(2, [job('a', { lane }), job('b', { lane }), job('c', { lock: 'x' }), job('d'), job('e')])
    const running = startAll(scheduler)
    expect(names(running)).toEqual(['a', 'c'])
    expect(new Set(scheduler.drain().map(({ name }) => name))).toEqual(new Set(['b', 'd', 'e']))
    finishAll(scheduler, running)
    expect(startAll(scheduler)).toEqual([])
    expect(scheduler.running()).toBe(0)
  })

  test('a drain keeps what stands below a begun one of its stream: releasing it would run the begun one again', () => {
    const at = (position: number, lane?: string): Partial<Job> => ({ lane, order: { stream: 'p0', position } })
    const other: Partial<Job> = { lane: 'a', order: { stream: 'p1', position: 1 } }
    const scheduler = admitAll(2, [
      job('p0/0', at(0, 'a')),
      job('p0/1', at(1, 'a')),
      job('p1/1', other),
      job('p0/2', at(2)),
      job('p0/3', at(3)),
    ])
    const running = startAll(scheduler)
    expect(names(running)).toEqual(['p0/0', 'p0/2'])
    expect(new Set(scheduler.drain().map(({ name }) => name))).toEqual(new Set(['p1/1', 'p0/3']))
    finishAll(scheduler, running)
    expect(names(startAll(scheduler))).toEqual(['p0/1'])
  })

  test('what a drain keeps runs also when the one before it in its lane was handed back', () => {
    const at = (position: number, lane?: string): Partial<Job> => ({ lane, order: { stream: 'p0', position } })
    const scheduler = admitAll(2, [job('holder', { lock: 'x' })])
    const running = startAll(scheduler)
    for (const each of [job('locked', { lane: 'a', lock: 'x' }), job('p0/0', at(0, 'a')), job('p0/1', at(1))])
      scheduler.admit(each)
    running.push(...startAll(scheduler))
    expect(names(running)).toEqual(['holder', 'p0/1'])
    expect(scheduler.drain().map(({ name }) => name)).toEqual(['locked'])
    finishAll(scheduler, running)
    expect(names(startAll(scheduler))).toEqual(['p0/0'])
  })

  test('abandoning hands back everything that has not begun, also what a drain kept', () => {
    const at = (position: number, lane?: string): Partial<Job> => ({ lane, order: { stream: 'p0', position } })
    const scheduler = admitAll(2, [job('0', at(0, 'a')), job('1', at(1, 'a')), job('2', at(2))])
    startAll(scheduler)
    expect(scheduler.drain()).toEqual([])
    expect(scheduler.abandon().map(({ name }) => name)).toEqual(['1'])
    expect(scheduler.waiting()).toEqual([])
  })
})

interface Arrival {
  readonly lane: string | undefined
  readonly lock: string | undefined
  readonly long: boolean
  readonly stream: string | undefined
}

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record<Arrival>({
      lane: fc.constantFrom(undefined, 'l1', 'l2', 'l3'),
      lock: fc.constantFrom(undefined, undefined, 'x', 'y'),
      long: fc.boolean(),
      stream: fc.constantFrom(undefined, 'p0', 'p1'),
    }),
  },
  { weight: 2, arbitrary: fc.nat() },
)

/** Follows a scheduler and complains as soon as it does what it must not. */
const watched = (concurrency: number) => {
  const scheduler = createScheduler<Named>({ concurrency, groupSize: 3 })
  const admitted: Named[] = []
  const begun: Named[] = []
  const running: Work<Named>[] = []
  const positions = new Map<string, number>()

  const check = (): void => {
    const slots = running.filter(({ lock, jobs }) => lock !== undefined || !jobs[0]?.long)
    expect(slots.length).toBeLessThanOrEqual(concurrency)
    expect(scheduler.running()).toBe(slots.length)
    const locks = running.flatMap(({ lock }) => (lock === undefined ? [] : [lock]))
    expect(new Set(locks).size).toBe(locks.length)
    const laned = (each: Named): boolean => concurrency > 1 || each.long
    const lanes = running.flatMap(({ jobs }) => [...new Set(jobs.filter(laned).flatMap(({ lane }) => lane ?? []))])
    expect(new Set(lanes).size).toBe(lanes.length)
  }

  const start = (): void => {
    for (const work of startAll(scheduler)) {
      expect(work.jobs.length).toBeLessThanOrEqual(work.lock === undefined ? 1 : 3)
      for (const each of work.jobs) expect(each.lock).toBe(work.lock)
      begun.push(...work.jobs)
      running.push(work)
    }
    check()
  }

  return {
    scheduler,
    admitted,
    begun,
    admit: ({ lane, lock, long, stream }: Arrival): void => {
      const position = positions.get(stream ?? '') ?? 0
      positions.set(stream ?? '', position + 1)
      const order = stream === undefined ? undefined : { stream, position }
      const each = job(String(admitted.length), { lane, lock, long: long && concurrency > 1, order })
      admitted.push(each)
      scheduler.admit(each)
      start()
    },
    finish: (pick: number): void => {
      const [work] = running.splice(pick % running.length, 1)
      if (work !== undefined) scheduler.finish(work)
      start()
    },
    finishAll(): void {
      while (running.length > 0) this.finish(0)
    },
  }
}

const numbersOf = (jobs: readonly Named[]): number[] => jobs.map(({ name }) => Number(name))
const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)

const run = (concurrency: number, steps: readonly (Arrival | number)[]): ReturnType<typeof watched> => {
  const watch = watched(concurrency)
  for (const each of steps) {
    if (typeof each === 'number') watch.finish(each)
    else watch.admit(each)
  }
  return watch
}

describe('the scheduler, whatever comes and ends in whatever order', () => {
  const steps = fc.array(step, { maxLength: 120 })

  test('holds its bounds, keeps each lane in order, runs each job exactly once and ends empty', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5 }), steps, (concurrency, all) => {
        const watch = run(concurrency, all)
        watch.finishAll()
        expect(sorted(numbersOf(watch.begun))).toEqual(numbersOf(watch.admitted))
        for (const lane of ['l1', 'l2', 'l3']) {
          const order = numbersOf(watch.begun.filter((each) => each.lane === lane))
          expect(order).toEqual(sorted(order))
        }
        expect(watch.scheduler.waiting()).toEqual([])
        expect(watch.scheduler.running()).toBe(0)
      }),
    )
  })

  test('with a concurrency of 1 begins everything in order of arrival', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const watch = run(1, all)
        watch.finishAll()
        expect(numbersOf(watch.begun)).toEqual(numbersOf(watch.admitted))
      }),
    )
  })

  test('a drain at any moment loses nothing: each job runs or is handed back, and none below a begun one is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), steps, (concurrency, all) => {
        const watch = run(concurrency, all)
        const begunBefore = [...watch.begun]
        const back = watch.scheduler.drain()
        for (const { order } of back) {
          if (order === undefined) continue
          const above = begunBefore.filter(
            (each) => each.order?.stream === order.stream && each.order.position > order.position,
          )
          expect(above).toEqual([])
        }
        const kept = watch.scheduler.waiting()
        expect(kept.every(({ order }) => order !== undefined)).toBe(true)
        watch.finish(0)
        watch.finishAll()
        expect(sorted(numbersOf([...watch.begun, ...back]))).toEqual(numbersOf(watch.admitted))
      }),
    )
  })
})
