import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Admin, Consumer } from '@platformatic/kafka'
import { connect } from 'amqplib'
import { afterEach, beforeEach, expect, inject, it } from 'vitest'
import { startProcess } from '../support/processDriver.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const index = join(import.meta.dirname, '../../src/index.ts')
const name = `cli-${randomBytes(4).toString('hex')}`
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'koksmat-cli-'))
  writeFileSync(
    join(folder, 'controller.config.ts'),
    `import { defineController, kafka, rabbitmq } from ${JSON.stringify(index)}
    export default defineController({
      sources: { payments: rabbitmq({ queue: '${name}' }), stock: kafka({ topics: ['${name}'], groupId: '${name}' }) },
      handlers: [],
    })`,
  )
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const send = async (source: string) => {
  const env = { AMQP_URL: inject('amqpUrl'), KAFKA_BROKERS: inject('kafkaBrokers') }
  const args = ['send', source, '{"amount":42}', '--type', 'it.happened', '--key', 'ada', '--id', 'e-1']
  await using child = startProcess([main, ...args], { cwd: folder, env })
  const { code } = await child.exit
  return { code, output: child.output() }
}

it('send puts a CloudEvent into the RabbitMQ queue, and fails where there is none', async () => {
  const missing = await send('payments')
  expect(missing.output).toContain('SOURCE_NOT_FOUND')
  expect(missing.code).toBe(1)

  const connection = await connect(inject('amqpUrl'))
  try {
    const channel = await connection.createChannel()
    await channel.assertQueue(name)
    expect(await send('payments')).toMatchObject({ code: 0, output: expect.stringContaining(`queue ${name}`) })
    const message = await channel.get(name)
    await channel.deleteQueue(name)
    if (message === false) throw new Error('The queue is empty.')
    expect(message.content.toString()).toBe('{"amount":42}')
    expect(message.properties.headers).toMatchObject({
      'cloudEvents:type': 'it.happened',
      'cloudEvents:id': 'e-1',
      'cloudEvents:partitionkey': 'ada',
    })
  } finally {
    await connection.close()
  }
})

it('send puts a CloudEvent into the Kafka topic, under its key, and fails where there is none', async () => {
  const missing = await send('stock')
  expect(missing.output).toMatch(/\(SOURCE_\w+\)/)
  expect(missing.code).toBe(1)

  const bootstrapBrokers = inject('kafkaBrokers').split(',')
  const admin = new Admin({ clientId: 'test', bootstrapBrokers })
  await admin.createTopics({ topics: [name], partitions: 1, replicas: 1 })
  await admin.close()
  const sent = await send('stock')
  expect(sent).toMatchObject({ code: 0, output: expect.stringContaining(`topic ${name}`) })
  const consumer = new Consumer({ groupId: `${name}-test`, clientId: 'test', bootstrapBrokers, autocommit: false })
  try {
    const stream = await consumer.consume({ topics: [name], mode: 'earliest' })
    for await (const { key, value, headers } of stream) {
      const texts = Object.fromEntries([...headers].map(([header, text]) => [`${header}`, `${text}`]))
      expect(`${key}`).toBe('ada')
      expect(`${value}`).toBe('{"amount":42}')
      expect(texts).toMatchObject({ ce_type: 'it.happened', ce_id: 'e-1' })
      break
    }
  } finally {
    await consumer.close(true)
  }
})
