import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'amqplib'
import pg from 'pg'
import { createKafkaPublisher } from '../../actors/kafka/publisher.ts'
import { sharedNow } from './meter.ts'
import { addressOf } from './servers.ts'

/** Sends events at a steady rate, from a process of its own; each says when it was due, however late it goes. */
export interface ArrivalsTask {
  readonly events: number
  /** Events a second; absent: as fast as it can. */
  readonly perSecond?: number
}

/** Name of the queue, the topic, or the journal's schema. */
const [kind = '', name = ''] = process.argv.slice(2)
const mostAtOnce = 1_000
const type = 'bench.event'

interface Sender {
  send(batch: readonly string[]): Promise<void>
  close(): Promise<void>
}

const openers: Readonly<Record<string, () => Promise<Sender>>> = {
  rabbitmq: async () => {
    const model = await connect(addressOf('rabbitmq'))
    const channel = await model.createConfirmChannel()
    return {
      send: async (batch) => {
        for (const json of batch) {
          channel.sendToQueue(name, Buffer.from(json), { type, messageId: randomUUID(), persistent: true })
        }
        await channel.waitForConfirms()
      },
      close: () => model.close(),
    }
  },
  kafka: async () => {
    const publisher = createKafkaPublisher([addressOf('kafka')])
    let partition = 0
    return {
      send: async (batch) => {
        partition = (partition + 1) % 4
        await publisher.publish(
          name,
          batch.map((value) => ({ partition, value })),
        )
      },
      close: publisher.close,
    }
  },
  tableQueue: async () => {
    const client = new pg.Client({ connectionString: addressOf('postgres') })
    await client.connect()
    return {
      send: async (batch) => {
        await client.query(`select ${name}.enqueue('bench', $1, data) from unnest($2::json[]) data`, [type, batch])
      },
      close: () => client.end(),
    }
  },
}

const sendAll = async (sender: Sender, { events, perSecond }: ArrivalsTask): Promise<void> => {
  const startedAt = sharedNow()
  const dueAt = (no: number): number => (perSecond === undefined ? sharedNow() : startedAt + (no / perSecond) * 1_000)
  for (let sent = 0; sent < events; ) {
    const batch: string[] = []
    while (batch.length < mostAtOnce && sent < events && dueAt(sent) <= sharedNow()) {
      batch.push(JSON.stringify({ no: sent + 1, sentAt: dueAt(sent) }))
      sent++
    }
    if (batch.length > 0) await sender.send(batch)
    else await sleep(1)
  }
}

const sender = await openers[kind]?.()
if (sender === undefined) throw new Error(`Nothing sends to ${kind}.`)
process.send?.('ready')
process.on('message', (task: ArrivalsTask) => {
  void sendAll(sender, task).then(() => process.send?.('sent'))
})
process.on('disconnect', () => void sender.close())
