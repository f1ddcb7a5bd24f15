import type { Workload } from './workload.ts'
import { atomic, atomicOnFourLocks } from './workloads/atomic.ts'
import { control, controlBacklog, keys } from './workloads/control.ts'
import { inspectorUnwatched, inspectorWatched } from './workloads/inspector.ts'
import { kafka, kafkaHalf } from './workloads/kafka.ts'
import { boot, drain } from './workloads/life.ts'
import { poll } from './workloads/poll.ts'
import { backlog, replicas, retryStorm } from './workloads/queueLoad.ts'
import { rabbitmqClassic, rabbitmqHalf, rabbitmqQuorum } from './workloads/rabbitmq.ts'
import { tableQueue, tableQueueHalf } from './workloads/tableQueue.ts'
import { webhook, webhookHalf } from './workloads/webhook.ts'

export const workloads: readonly Workload[] = [
  control,
  controlBacklog,
  keys,
  inspectorUnwatched,
  inspectorWatched,
  rabbitmqClassic,
  rabbitmqQuorum,
  rabbitmqHalf,
  kafka,
  kafkaHalf,
  tableQueue,
  tableQueueHalf,
  backlog,
  retryStorm,
  replicas,
  poll,
  webhook,
  webhookHalf,
  atomic,
  atomicOnFourLocks,
  boot,
  drain,
]
