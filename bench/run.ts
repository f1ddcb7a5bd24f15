import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import type { SideAnswer, SideCommand } from './side.child.ts'
import { medianOf } from './support/measure.ts'
import type { Goal, Measured, Workload } from './workload.ts'

export interface Result {
  readonly workload: string
  readonly about: string
  readonly events: number
  readonly rounds: number
  /** By side: the median of each number. */
  readonly sides: Readonly<Record<string, Measured>>
  /** Throughput of the first side as a share of the second one's. */
  readonly share?: number
  readonly goals: readonly Judged[]
  readonly loadAverage: readonly number[]
}

interface Judged {
  readonly goal: string
  readonly reached: boolean
}

export interface RunOptions {
  readonly events: number
  readonly rounds: number
  readonly peers: boolean
  /** Where each side leaves its CPU profile. */
  readonly profiles?: string
}

/** A round to warm up, then all sides in turns, round by round; another one begins each time. */
export const runWorkload = async (workload: Workload, options: RunOptions): Promise<Result> => {
  const { events, rounds, peers, profiles } = options
  const sides: RunningSide[] = []
  try {
    const names = Object.keys({ ...workload.sides, ...(peers ? workload.peers : {}) })
    for (const name of names) sides.push(await startSide(workload.name, name, events, profiles))
    for (const side of sides) await side.warmUp()
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < sides.length; turn++) await sides[(round + turn) % sides.length]?.run()
    }
  } finally {
    await Promise.all(sides.map((side) => side.close()))
  }
  const medians = Object.fromEntries(sides.map(({ name, measured }) => [name, medianOf(measured)]))
  const [first, second] = Object.keys(workload.sides).map((name) => medians[name])
  return {
    workload: workload.name,
    about: workload.about,
    events,
    rounds,
    sides: medians,
    ...(first && second ? { share: shareOf(first.perSecond, second.perSecond) } : {}),
    goals: workload.goals.flatMap((goal) => judge(goal, workload, medians)),
    loadAverage: loadavg().map((load) => Math.round(load * 100) / 100),
  }
}

const shareOf = (part: number, whole: number): number => Math.round((part / whole) * 100) / 100

/** Nothing where the side it speaks of did not run. */
const judge = (goal: Goal, { sides }: Workload, medians: Readonly<Record<string, Measured>>): readonly Judged[] => {
  const [firstName = '', secondName = ''] = Object.keys(sides)
  const first = medians[firstName]
  const second = medians[secondName]
  if (first === undefined) return []
  const { perSecond, cpuMicrosPerEvent: cpu, p50Ms = 0, p99Ms = 0 } = first
  if ('perSecond' in goal) {
    return [{ goal: `${goal.perSecond.toLocaleString('en')} events/s`, reached: perSecond >= goal.perSecond }]
  }
  if ('p50Ms' in goal) return [{ goal: `p50 ≤ ${goal.p50Ms} ms`, reached: p50Ms <= goal.p50Ms }]
  if ('p99Ms' in goal) return [{ goal: `p99 ≤ ${goal.p99Ms} ms`, reached: p99Ms <= goal.p99Ms }]
  if ('aheadOf' in goal) {
    const other = medians[goal.aheadOf]
    return other === undefined ? [] : [{ goal: `ahead of ${goal.aheadOf}`, reached: perSecond >= other.perSecond }]
  }
  if (second === undefined) return []
  if ('share' in goal) {
    return [{ goal: `${goal.share} × ${secondName}`, reached: shareOf(perSecond, second.perSecond) >= goal.share }]
  }
  if ('cpuAbove' in goal) {
    const reached = cpu <= second.cpuMicrosPerEvent + goal.cpuAbove
    return [{ goal: `CPU ≤ ${secondName} + ${goal.cpuAbove} µs`, reached }]
  }
  return [{ goal: `CPU ≤ ${goal.cpuShare} × ${secondName}`, reached: cpu <= goal.cpuShare * second.cpuMicrosPerEvent }]
}

interface RunningSide {
  readonly name: string
  readonly measured: Measured[]
  /** A run that does not count: code is compiled, connections are there. */
  warmUp(): Promise<void>
  run(): Promise<void>
  close(): Promise<void>
}

const startSide = async (
  workload: string,
  name: string,
  events: number,
  profiles: string | undefined,
): Promise<RunningSide> => {
  const profile = `${workload}.${name}.cpuprofile`.replaceAll(/[^\w.]+/g, '-')
  const execArgv = profiles === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profiles, '--cpu-prof-name', profile]
  const child = fork(new URL('./side.child.ts', import.meta.url), [workload, name, String(events)], { execArgv })
  const exit = once(child, 'exit')
  const answer = async (): Promise<SideAnswer> => {
    const died = exit.then(([code]) => Promise.reject(new Error(`${workload}, ${name}: its process ended (${code}).`)))
    const [message] = (await Promise.race([once(child, 'message'), died])) as [SideAnswer]
    return message
  }
  const command = (word: SideCommand): void => void child.send(word)
  const run = async (): Promise<Measured> => {
    command('run')
    const given = await answer()
    if ('measured' in given) return given.measured
    throw new Error(`${workload}, ${name}: opened twice.`)
  }
  await answer()
  const measured: Measured[] = []
  return {
    name,
    measured,
    warmUp: async () => void (await run()),
    run: async () => void measured.push(await run()),
    close: async () => {
      if (isRunning(child)) command('close')
      await exit
    },
  }
}

const isRunning = ({ exitCode, signalCode, connected }: ChildProcess): boolean =>
  exitCode === null && signalCode === null && connected
