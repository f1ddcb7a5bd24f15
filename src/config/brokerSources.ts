import { z } from 'zod'
import type { KafkaOptions } from '../../actors/kafka.ts'
import type { RabbitmqOptions } from '../../actors/rabbitmq.ts'
import type { Environment } from './environment.ts'
import {
  duration,
  type Field,
  fitting,
  flag,
  isPlainObject,
  listOf,
  oneOf,
  part,
  refuse,
  shape,
  text,
  whole,
} from './fields.ts'
import { brokers, secret, url } from './references.ts'
import type { ResolvedSource } from './resolved.ts'
import {
  connectTimeout,
  creditFields,
  creditOf,
  eventTypeOr,
  headerReference,
  MiB,
  maxEventBytes,
} from './sourceFields.ts'

/** The options of `rabbitmq` and `kafka`, with their defaults. */

const name = text('a name')

export const rabbitmqSource = (environment: Environment): Field<ResolvedSource> =>
  shape({
    ...creditFields,
    queue: name,
    url: url({
      environment,
      schemes: ['amqp', 'amqps'],
      variable: 'AMQP_URL',
      instead: 'tableQueue({ queue }) where there is no broker',
    }),
    declare: declaration.exactOptional(),
    type: headerOr<Exclude<RabbitmqOptions['type'], string | undefined>>().exactOptional(),
    deadLetter: flag().default(false),
    heartbeat: duration('1s', '10m').default(5_000),
    connectTimeout,
    maxEventBytes,
  }).transform((given): ResolvedSource => {
    const { queue, declare, type, deadLetter } = given
    const options: RabbitmqOptions = {
      url: given.url,
      queue,
      deadLetter,
      heartbeatSeconds: Math.max(1, Math.round(given.heartbeat / 1_000)),
      connectTimeoutMs: given.connectTimeout,
      maxEventBytes: given.maxEventBytes,
      ...(type === undefined ? {} : { type }),
      ...(declare === undefined ? {} : declare(queue)),
    }
    return { driver: 'rabbitmq', kind: 'queue', credit: creditOf(given), options }
  })

const exchange = shape({
  name,
  type: oneOf('direct', 'topic', 'fanout', 'headers').default('topic'),
  durable: flag().default(true),
})

const declared = shape({
  type: oneOf('quorum', 'classic').default('quorum'),
  exchange: z
    .unknown()
    .transform((value, context) => part(exchange, typeof value === 'string' ? { name: value } : value, context))
    .exactOptional(),
  bindings: listOf(text('a routing key', /^\S*$/), 'a list of routing keys').exactOptional(),
  deadLetterExchange: name.exactOptional(),
  arguments: fitting(z.record(z.string(), z.unknown()), "an object with the queue's `x-` arguments").exactOptional(),
})

type Declare = (queue: string) => { readonly declare?: NonNullable<RabbitmqOptions['declare']> }

const declaration: Field<Declare> = z.unknown().transform((value, context): Declare => {
  if (value === false) return () => ({})
  const { exchange, bindings, ...rest } = part(declared, value === true ? {} : value, context)
  if (bindings !== undefined && exchange === undefined) {
    return refuse(context, 'has `bindings` and no `exchange`', 'the exchange to bind the queue to', 'an object')
  }
  if (exchange === undefined) return () => ({ declare: { ...rest, durable: true } })
  const everything = exchange.type === 'topic' ? '#' : ''
  return (queue) => ({
    declare: {
      ...rest,
      durable: true,
      exchange,
      bindings: bindings ?? [exchange.type === 'direct' ? queue : everything],
    },
  })
})

export const kafkaSource = (environment: Environment): Field<ResolvedSource> =>
  shape({
    ...creditFields,
    topics: listOf(text('a topic', /^[\w.-]{1,249}$/), 'one or more topics'),
    groupId: name,
    brokers: brokers(environment, 'KAFKA_BROKERS', 'tableQueue({ queue }) where there is no broker'),
    type: z
      .unknown()
      .transform((value, context) =>
        isPlainObject(value)
          ? part(headerReference, value, context)
          : part(eventTypeOr<Extract<KafkaOptions['type'], (...given: never[]) => unknown>>(), value, context),
      )
      .exactOptional(),
    from: oneOf('earliest', 'latest').default('earliest'),
    sessionTimeout: duration('6s', '30m').default(30_000),
    commitInterval: duration('10ms', '1m').default(200),
    clientId: name.default('koksmat-controller'),
    sasl: sasl(environment).exactOptional(),
    tls: fitting(
      z.custom<boolean | NonNullable<KafkaOptions['tls']>>(
        (value) => typeof value === 'boolean' || isPlainObject(value),
      ),
      "true, or the options of Node's tls.connect",
    ).default(false),
    maxBytesPerPartition: whole(1_024, 256 * MiB).default(256 * 1_024),
    maxEventBytes,
    connectTimeout,
  }).transform((given): ResolvedSource => {
    const { topics, groupId, clientId, from, type, sasl, tls } = given
    const options: KafkaOptions = {
      brokers: given.brokers,
      topics,
      groupId,
      clientId,
      from,
      sessionTimeoutMs: given.sessionTimeout,
      commitIntervalMs: given.commitInterval,
      connectTimeoutMs: given.connectTimeout,
      maxBytesPerPartition: given.maxBytesPerPartition,
      maxEventBytes: given.maxEventBytes,
      ...(type === undefined ? {} : { type }),
      ...(sasl === undefined ? {} : { sasl }),
      ...(tls === false ? {} : { tls: tls === true ? {} : tls }),
    }
    return { driver: 'kafka', kind: 'queue', credit: creditOf(given), options }
  })

const sasl = (environment: Environment): Field<NonNullable<KafkaOptions['sasl']>> => {
  const withPassword = shape({
    mechanism: oneOf('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'),
    username: secret(environment),
    password: secret(environment),
  })
  const withToken = shape({ mechanism: oneOf('OAUTHBEARER'), token: secret(environment) })
  return z.unknown().transform((value, context): NonNullable<KafkaOptions['sasl']> => {
    const isToken = isPlainObject(value) && value['mechanism'] === 'OAUTHBEARER'
    return isToken ? part(withToken, value, context) : part(withPassword, value, context)
  })
}

const headerOr = <Teller>(): Field<Teller | { header: string }> =>
  z.unknown().transform((value, context): Teller | { header: string } => {
    if (isPlainObject(value)) return part(headerReference, value, context)
    return part(
      fitting(
        z.custom<Teller>((given) => typeof given === 'function'),
        "{ header: 'name' } or a function",
      ),
      value,
      context,
    )
  })
