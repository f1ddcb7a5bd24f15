import { latencyOf } from '../support/measure.ts'
import { openOwnQueue } from '../support/ownQueue.ts'
import { openOwnTopic } from '../support/ownTopic.ts'
import { openWorld, type Program } from '../support/program.ts'
import type { Measured, OpenSide, Run, Workload } from '../workload.ts'

const handlerMs = 500

/** Starts and ends of the real program, one after the other; what `timed` gives is the time of each. */
const livesOf =
  (
    timed: (program: Program, enqueue: (events: number, type: string) => Promise<void>) => Promise<number>,
    env: Readonly<Record<string, string>> = {},
  ): OpenSide =>
  async (events) => {
    const world = await openWorld()
    const topic = await openOwnTopic(0, world.name)
    const queue = await openOwnQueue('quorum', world.name)
    const go = async (): Promise<Partial<Measured>> => {
      const millis: number[] = []
      let cpuMicros = 0
      let megabytes = 0
      for (let life = 0; life < events; life++) {
        const program = await world.start({ BENCH_HANDLER_MS: String(handlerMs), ...env })
        const usage = await program.usage()
        cpuMicros += usage.cpuMicros
        megabytes = Math.max(megabytes, usage.megabytes)
        millis.push(await timed(program, world.enqueue))
      }
      const seconds = millis.reduce((sum, ms) => sum + ms, 0) / 1_000
      return {
        perSecond: events / seconds,
        cpuMicrosPerEvent: cpuMicros / events,
        peakMegabytes: megabytes,
        ...latencyOf(millis),
      }
    }
    const prepare = async (): Promise<Run> => ({ go, end: async () => undefined })
    return {
      prepare,
      close: async () => {
        await Promise.all([topic.close(), queue.close(), world.close()])
      },
    }
  }

const untilReady = async (program: Program): Promise<number> => {
  await program.drain()
  return program.readyMs
}

/** Sixteen handlers run, and ten times as many events wait. */
const drains = livesOf(async (program, enqueue) => {
  await enqueue(160, 'bench.slow')
  await program.handles(16)
  return program.drain()
})

const every = ['postgres', 'rabbitmq', 'kafka'] as const

export const boot: Workload = {
  name: 'boot',
  about:
    'from the start of the process to /readyz, with a source of each kind and the servers up, and without that of Kafka; an event is a start',
  events: 3,
  servers: every,
  goals: [{ p50Ms: 500 }],
  sides: { controller: livesOf(untilReady), 'without Kafka': livesOf(untilReady, { BENCH_KAFKA: 'no' }) },
}

export const drain: Workload = {
  name: 'drain',
  about: `from SIGTERM to the exit, with ${handlerMs} ms handlers running and more waiting; an event is a drain`,
  events: 3,
  servers: every,
  goals: [{ p99Ms: handlerMs + 250 }],
  sides: { controller: drains },
}
