import type { ConsumeMessage } from 'amqplib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createAcks, type Tagged, type Verdict } from '../../actors/rabbitmq/acks.ts'
import { createDecoder } from '../../actors/rabbitmq/message.ts'
import type { RabbitmqOptions } from '../../actors/rabbitmq/options.ts'

/** A channel as the broker keeps it: a frame that names no open tag costs it, with everything on it. */
const createChannel = (tags: number) => {
  const open = new Set(Array.from({ length: tags }, (_, index) => index + 1))
  const gone: Record<Verdict, number[]> = { ack: [], release: [], deadLetter: [] }
  let frames = 0
  const settle = ({ fields }: Tagged, upTo: boolean | undefined, verdict: Verdict): void => {
    frames++
    const named = [...open].filter((tag) => tag === fields.deliveryTag || (upTo && tag < fields.deliveryTag))
    if (named.length === 0) throw new Error(`406: unknown delivery tag ${fields.deliveryTag}`)
    for (const tag of named) open.delete(tag)
    gone[verdict].push(...named)
  }
  return {
    gone,
    frames: () => frames,
    ack: (message: Tagged, upTo?: boolean) => settle(message, upTo, 'ack'),
    nack: (message: Tagged, upTo?: boolean, requeue?: boolean) =>
      settle(message, upTo, requeue ? 'release' : 'deadLetter'),
  }
}

const message = (): ConsumeMessage => ({
  content: Buffer.alloc(0),
  fields: { deliveryTag: 1, redelivered: false, exchange: '', routingKey: '', consumerTag: '' },
  properties: {} as ConsumeMessage['properties'],
})

test('in any order and any batches, each tag gets its own verdict and is named once', () => {
  const verdict = fc.constantFrom<Verdict>('ack', 'ack', 'ack', 'release', 'deadLetter')
  const plan = fc.record({
    verdicts: fc.array(verdict, { minLength: 1, maxLength: 40 }),
    order: fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
    cuts: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 40, maxLength: 40 }),
    settled: fc.nat({ max: 40 }),
  })
  fc.assert(
    fc.property(plan, ({ verdicts, order, cuts, settled }) => {
      const channel = createChannel(verdicts.length)
      const acks = createAcks(channel)
      const all = verdicts.map((verdict, index) => [index + 1, verdict] as const)
      for (const [each] of all) acks.add(each)
      const shuffled = all.toSorted(([a], [b]) => (order[a - 1] ?? 0) - (order[b - 1] ?? 0))
      const chosen = shuffled.slice(0, settled)
      const rest = [...chosen]
      for (const size of cuts) acks.settle(rest.splice(0, size))
      acks.settle(rest)
      for (const verdict of ['ack', 'release', 'deadLetter'] as const) {
        const expected = chosen.filter(([, each]) => each === verdict).map(([tag]) => tag)
        expect(channel.gone[verdict].toSorted((a, b) => a - b)).toEqual(expected.toSorted((a, b) => a - b))
      }
    }),
  )
})

test('a batch in order costs one frame', () => {
  const channel = createChannel(50)
  const acks = createAcks(channel)
  const all = Array.from({ length: 50 }, (_, index) => [index + 1, 'ack'] as const)
  for (const [each] of all) acks.add(each)
  acks.settle(all)
  expect([channel.frames(), channel.gone.ack.length]).toEqual([1, 50])
})

/** A message as it arrives, with what AMQP calls its properties. */
const arrived = (properties: object, body: unknown = { no: 1 }): ConsumeMessage => ({
  content: Buffer.from(JSON.stringify(body)),
  fields: { ...message().fields, routingKey: 'shop.order' },
  properties: { headers: {}, ...properties } as ConsumeMessage['properties'],
})

const headers = { 'event-type': 'order.placed' }

test.each<[string, RabbitmqOptions['type'], ConsumeMessage, string]>([
  ['the property of that name', undefined, arrived({ type: 'order.taken' }), 'order.taken'],
  ['the routing key where there is none', undefined, arrived({}), 'shop.order'],
  ['a header that the source names', { header: 'event-type' }, arrived({ type: 'x', headers }), 'order.placed'],
  ['the routing key without that header', { header: 'event-type' }, arrived({}), 'shop.order'],
  ['a function of the message', ({ routingKey }) => `${routingKey}.v1`, arrived({ type: 'x' }), 'shop.order.v1'],
  [
    'a CloudEvent, whatever the source says',
    () => 'x',
    arrived({ headers: { 'cloudEvents:type': 'paid', 'cloudEvents:specversion': '1.0' } }),
    'paid',
  ],
  [
    'a CloudEvent in structured mode',
    undefined,
    arrived(
      { contentType: 'application/cloudevents+json' },
      { specversion: '1.0', id: 'a', source: '/shop', type: 'paid', data: { no: 1 } },
    ),
    'paid',
  ],
])('the type of an event is that of %s', (_, type, given, expected) => {
  const { event, defect } = createDecoder('orders', { type, maxEventBytes: 1_000 } as RabbitmqOptions)(given, 1)
  expect({ type: event.type, data: event.data, defect }).toEqual({ type: expected, data: { no: 1 }, defect: undefined })
})
