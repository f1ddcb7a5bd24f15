import { inject } from 'vitest'
import { rabbitmqConformance } from './rabbitmq.conformance.ts'

rabbitmqConformance('rabbitmq', () => inject('amqpUrl'))
