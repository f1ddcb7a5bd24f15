import type { Workload } from './workload.ts'
import { atomic, atomicOnFourLocks } from './workloads/atomic.ts'
import { control } from './workloads/control.ts'
import { inspectorUnwatched, inspectorWatched } from './workloads/inspector.ts'
import { kafka } from './workloads/kafka.ts'
import { boot, drain } from './workloads/life.ts'
import { poll } from './workloads/poll.ts'
import { rabbitmqClassic, rabbitmqQuorum } from './workloads/rabbitmq.ts'
import { tableQueue } from './workloads/tableQueue.ts'
import { webhook } from './workloads/webhook.ts'

export const workloads: readonly Workload[] = [
  control,
  inspectorUnwatched,
  inspectorWatched,
  rabbitmqClassic,
  rabbitmqQuorum,
  kafka,
  tableQueue,
  poll,
  webhook,
  atomic,
  atomicOnFourLocks,
  boot,
  drain,
]
