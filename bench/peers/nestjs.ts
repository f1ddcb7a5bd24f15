import { openOwnQueue, type QueueType } from '../support/ownQueue.ts'
import { addressOf } from '../support/servers.ts'
import { credit } from '../support/walk.ts'
import type { OpenSide, Run } from '../workload.ts'
import { countdown } from './counter.ts'
import { loadPeer } from './install.ts'

interface Context {
  getChannelRef(): { ack(message: unknown): void }
  getMessage(): unknown
}
type Decorator = (target: object, key: string, descriptor: PropertyDescriptor) => void
interface Common {
  Module(options: object): (target: object) => void
  Controller(): (target: object) => void
}
interface Microservices {
  readonly Transport: { readonly RMQ: number }
  EventPattern(pattern: string): Decorator
  Payload(): (target: object, key: string, index: number) => void
  Ctx(): (target: object, key: string, index: number) => void
}
interface Core {
  readonly NestFactory: {
    createMicroservice(module: object, options: object): Promise<{ listen(): Promise<void>; close(): Promise<void> }>
  }
}

const pattern = 'bench.event'

/** A microservice with one event handler that acknowledges each message; the decorators are called as functions. */
export const nestjsOn =
  (type: QueueType): OpenSide =>
  async (events) => {
    await loadPeer('reflect-metadata')
    const { Module, Controller } = await loadPeer<Common>('@nestjs/common')
    const { NestFactory } = await loadPeer<Core>('@nestjs/core')
    const { EventPattern, Payload, Ctx, Transport } = await loadPeer<Microservices>('@nestjs/microservices')
    const own = await openOwnQueue(type)
    let count = countdown(events)

    class Consumer {
      handle(_payload: unknown, context: Context): void {
        context.getChannelRef().ack(context.getMessage())
        count.one()
      }
    }
    Controller()(Consumer)
    const descriptor = Object.getOwnPropertyDescriptor(Consumer.prototype, 'handle') as PropertyDescriptor
    EventPattern(pattern)(Consumer.prototype, 'handle', descriptor)
    Payload()(Consumer.prototype, 'handle', 0)
    Ctx()(Consumer.prototype, 'handle', 1)
    class Root {}
    Module({ controllers: [Consumer] })(Root)

    const prepare = async (): Promise<Run> => {
      await own.fill(events, (data) => ({ pattern, data }))
      count = countdown(events)
      const service = await NestFactory.createMicroservice(Root, {
        logger: false,
        transport: Transport.RMQ,
        options: {
          urls: [addressOf('rabbitmq')],
          queue: own.queue,
          noAck: false,
          prefetchCount: credit.events,
          queueOptions: { durable: true, arguments: { 'x-queue-type': type } },
        },
      })
      return {
        go: async () => {
          await service.listen()
          return count.reached
        },
        end: () => service.close(),
      }
    }
    return { prepare, close: own.close }
  }
