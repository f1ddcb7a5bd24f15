import { inject } from 'vitest'
import { startRabbit4Server } from '../support/rabbit4Server.ts'
import { startRabbitServer } from '../support/rabbitServer.ts'
import { brokerRows } from './broker.ts'

brokerRows('3.10', () => startRabbitServer())
if (inject('faultTier') === 'N') brokerRows('4.0', () => startRabbit4Server())
