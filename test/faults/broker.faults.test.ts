import { startRabbitServer } from '../support/rabbitServer.ts'
import { brokerRows } from './broker.ts'

brokerRows('3.10', () => startRabbitServer())
