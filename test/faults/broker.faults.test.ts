import { afterAll, beforeAll, describe, inject } from 'vitest'
import { rabbitmqConformance } from '../actors/rabbitmq.conformance.ts'
import { startRabbit4Server } from '../support/rabbit4Server.ts'
import { type RabbitServer, startRabbitServer } from '../support/rabbitServer.ts'
import { brokerRows } from './broker.ts'

brokerRows('3.10', () => startRabbitServer())

if (inject('faultTier') === 'N') {
  brokerRows('4.0', () => startRabbit4Server())

  describe('RabbitMQ 4.0', () => {
    let server: RabbitServer
    beforeAll(async () => {
      server = await startRabbit4Server()
    })
    afterAll(() => server.stop())
    rabbitmqConformance('rabbitmq 4.0', () => server.url)
  })
}
