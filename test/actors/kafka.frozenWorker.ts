import { parentPort, workerData } from 'node:worker_threads'
import { createKafkaDriver } from '../../actors/kafka.ts'
import type { Delivery, Link } from '../../machines/driver.ts'
import type { FrozenCommand, FrozenReport } from './kafka.frozen.ts'

const { brokers, topic, groupId } = workerData as { brokers: string; topic: string; groupId: string }
const tell = (report: FrozenReport): void => parentPort?.postMessage(report)
const unsettled: Delivery[] = []
let acking = false
let link: Link | undefined

const ack = (deliveries: readonly Delivery[]): void =>
  link?.settle(deliveries.map(({ receipt }) => ({ receipt, outcome: 'ack' })))

const driver = createKafkaDriver({
  brokers: [brokers],
  topics: [topic],
  groupId,
  from: 'earliest',
  sessionTimeoutMs: 6_000,
  commitIntervalMs: 50,
  clientId: 'frozen',
  maxBytesPerPartition: 262_144,
  maxEventBytes: 1_048_576,
  connectTimeoutMs: 10_000,
})

link = await driver.connect({
  source: 'orders',
  credit: { events: 1_000, bytes: 1_000_000 },
  log: {
    debug: (_, message) => message === 'kafka assignment' && tell({ joined: true }),
    info() {},
    warn() {},
    error() {},
  },
  deliver(batch) {
    tell({ delivered: batch.map(({ order }) => order?.position ?? -1) })
    if (acking) ack(batch)
    else unsettled.push(...batch)
  },
  lost() {},
  gauge() {},
  count() {},
})

parentPort?.on('message', async (command: FrozenCommand) => {
  if (command.settleUpTo !== undefined) ack(unsettled.splice(0, command.settleUpTo))
  if (command.freezeMs !== undefined) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, command.freezeMs)
    tell({ awake: true })
  }
  if (command.ack) {
    acking = true
    ack(unsettled.splice(0))
  }
  if (command.stop) {
    await link?.disconnect()
    tell({ stopped: true })
    parentPort?.close()
  }
})
await link.consume()
