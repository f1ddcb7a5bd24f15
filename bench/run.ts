import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import type { SideAnswer, SideCommand } from './side.child.ts'
import { type Measured, medianOf } from './support/measure.ts'
import type { Goal, Workload } from './workload.ts'

export interface Result {
  readonly workload: string
  readonly about: string
  readonly events: number
  readonly rounds: number
  /** By side: the median of each number. */
  readonly sides: Readonly<Record<string, Measured>>
  /** Throughput of the controller as a share of the bare client's. */
  readonly ofBare?: number
  readonly goals: readonly { readonly goal: string; readonly reached: boolean }[]
  readonly loadAverage: readonly number[]
}

export interface RunOptions {
  readonly events: number
  readonly rounds: number
  readonly peers: boolean
}

/** A round to warm up, then all sides in turns, round by round; another one begins each time. */
export const runWorkload = async (workload: Workload, { events, rounds, peers }: RunOptions): Promise<Result> => {
  const sides: RunningSide[] = []
  try {
    const names = Object.keys({ ...workload.sides, ...(peers ? workload.peers : {}) })
    for (const name of names) sides.push(await startSide(workload.name, name, events))
    for (const side of sides) await side.warmUp()
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < sides.length; turn++) await sides[(round + turn) % sides.length]?.run()
    }
  } finally {
    await Promise.all(sides.map((side) => side.close()))
  }
  const medians = Object.fromEntries(sides.map(({ name, measured }) => [name, medianOf(measured)]))
  const { controller, bare } = medians
  const ofBare = controller && bare && share(controller.perSecond, bare.perSecond)
  return {
    workload: workload.name,
    about: workload.about,
    events,
    rounds,
    sides: medians,
    ...(ofBare === undefined ? {} : { ofBare }),
    goals: workload.goals.flatMap((goal) => judge(goal, medians)),
    loadAverage: loadavg().map((load) => Math.round(load * 100) / 100),
  }
}

const share = (part: number, whole: number): number => Math.round((part / whole) * 100) / 100

/** Nothing where the side it speaks of did not run. */
const judge = (goal: Goal, { controller, ...others }: Readonly<Record<string, Measured>>): Result['goals'] => {
  if (controller === undefined) return []
  const { perSecond, cpuMicrosPerEvent, p99Ms = 0 } = controller
  if ('perSecond' in goal) {
    return [{ goal: `${goal.perSecond.toLocaleString('en')} events/s`, reached: perSecond >= goal.perSecond }]
  }
  if ('p99Ms' in goal) return [{ goal: `p99 ≤ ${goal.p99Ms} ms`, reached: p99Ms <= goal.p99Ms }]
  if ('aheadOf' in goal) {
    const other = others[goal.aheadOf]
    return other === undefined ? [] : [{ goal: `ahead of ${goal.aheadOf}`, reached: perSecond >= other.perSecond }]
  }
  const { bare } = others
  if (bare === undefined) return []
  if ('ofBare' in goal) {
    return [{ goal: `${goal.ofBare} × bare`, reached: share(perSecond, bare.perSecond) >= goal.ofBare }]
  }
  if ('cpuAboveBare' in goal) {
    const reached = cpuMicrosPerEvent <= bare.cpuMicrosPerEvent + goal.cpuAboveBare
    return [{ goal: `CPU ≤ bare + ${goal.cpuAboveBare} µs`, reached }]
  }
  return [
    { goal: `CPU ≤ ${goal.cpuOfBare} × bare`, reached: cpuMicrosPerEvent <= goal.cpuOfBare * bare.cpuMicrosPerEvent },
  ]
}

interface RunningSide {
  readonly name: string
  readonly measured: Measured[]
  /** A run that does not count: code is compiled, connections are there. */
  warmUp(): Promise<void>
  run(): Promise<void>
  close(): Promise<void>
}

const startSide = async (workload: string, name: string, events: number): Promise<RunningSide> => {
  const child = fork(new URL('./side.child.ts', import.meta.url), [workload, name, String(events)])
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
