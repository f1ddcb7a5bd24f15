import { expect, inject, test } from 'vitest'
import { answers } from './answers.ts'

test('a test gets a PostgreSQL that answers', async () => {
  expect(await answers.postgres(inject('databaseUrl'))).toBe(true)
})

test('a test gets a RabbitMQ that answers', async () => {
  expect(await answers.rabbitmq(inject('amqpUrl'))).toBe(true)
})

test('a test gets an Apache Kafka that answers', async () => {
  expect(await answers.kafka(inject('kafkaBrokers'))).toBe(true)
})
