import { afterAll, beforeAll, describe, inject } from 'vitest'
import { rabbitmqConformance } from '../actors/rabbitmq.conformance.ts'
import { rabbit4FetchMs, startRabbit4Server } from '../support/rabbit4Server.ts'
import { type RabbitServer, startRabbitServer } from '../support/rabbitServer.ts'
import { brokerRows, byHand } from './broker.ts'

brokerRows('3.10', () => startRabbitServer())

if (inject('faultTier') === 'N') {
  brokerRows('4.0', () => startRabbit4Server(), { startMs: rabbit4FetchMs, alarm: byHand })

  describe('RabbitMQ 4.0', () => {
    let server: RabbitServer
    beforeAll(async () => {
      server = await startRabbit4Server()
    }, rabbit4FetchMs)
    afterAll(() => server.stop())
    rabbitmqConformance('rabbitmq 4.0', () => server.url)
  })
}
