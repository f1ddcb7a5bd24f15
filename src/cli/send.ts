import { randomUUID } from 'node:crypto'
import { parseJson } from '../../machines/cloudevents.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { ResolvedConfig, ResolvedSource } from '../config/resolved.ts'
import { enqueue } from '../journal/enqueue.ts'
import { namesOf } from '../journal/schema.ts'
import { withJournalDatabase } from './database.ts'
import { usage } from './output.ts'

/**
 * `send SOURCE JSON`: an event through the real entrance of a source, as any sender would bring it. A broker gets it as a
 * CloudEvent in binary mode, with `ce_` headers; a table queue by its SQL function; a webhook by an HTTP request, signed
 * with its first secret.
 */
export interface SendOptions {
  readonly type?: string
  readonly key?: string
  readonly id?: string
  /** `name: value`, for a webhook; wins over what `send` says itself. */
  readonly header?: readonly string[]
}

export interface Sent {
  readonly source: string
  readonly to: string
  readonly id?: string
  /** What a webhook answered. */
  readonly answer?: unknown
}

type Driven<Driver extends ResolvedSource['driver']> = Extract<ResolvedSource, { driver: Driver }>['options']

/** @throws ControllerError USAGE, or what the entrance says */
export const send = (config: ResolvedConfig, name: string, json: string, options: SendOptions): Promise<Sent> => {
  const source = config.sources[name]
  if (source === undefined) {
    throw usage(`There is no source ${JSON.stringify(name)}; there are ${Object.keys(config.sources).join(', ')}.`)
  }
  const data = readData(json)
  switch (source.driver) {
    case 'tableQueue':
      return toTableQueue(config, name, source.options, data, options)
    case 'webhook':
      return toWebhook(config, name, source.options, json, options)
    case 'kafka':
      return toKafka(name, source.options, json, options)
    case 'rabbitmq':
      return toRabbitmq(name, source.options, json, options)
    case 'poll':
      throw usage(
        source.options.mode === 'trigger'
          ? `Events of ${name} are rows: insert one into ${source.options.table} with the client of your database.`
          : `Events of ${name} are what its query finds: change the data that it looks at.`,
      )
  }
}

const readData = (json: string): unknown => {
  try {
    return parseJson(json)
  } catch {
    throw usage('The event is not JSON; quote it for your shell, as in \'{"order": 1}\'.')
  }
}

const toTableQueue = async (
  config: ResolvedConfig,
  name: string,
  { queue }: Driven<'tableQueue'>,
  data: unknown,
  { type, key, id = randomUUID() }: SendOptions,
): Promise<Sent> => {
  if (type === undefined) throw usage('An event of a table queue needs a type: --type order.created')
  const names = namesOf(config.journal.schema)
  await withJournalDatabase(config, (database) =>
    enqueue(database, names, queue, { type, data, id, ...(key === undefined ? {} : { key }) }),
  )
  return { source: name, to: `table queue ${queue}`, id }
}

const toWebhook = async (
  { webhooks }: ResolvedConfig,
  name: string,
  { path, method, signature }: Driven<'webhook'>,
  body: string,
  { type, key, id: given, header = [] }: SendOptions,
): Promise<Sent> => {
  const host = ['0.0.0.0', '::'].includes(webhooks.host) ? '127.0.0.1' : webhooks.host
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${webhooks.port}${path}`
  const id = given ?? randomUUID()
  const signed = signature.sign?.(Buffer.from(body), id, Math.floor(Date.now() / 1_000))
  const headers = new Headers({ 'content-type': 'application/json', ...signed })
  if (type !== undefined) {
    for (const [attribute, value] of attributes(name, type, id, key)) {
      headers.set(`ce-${attribute}`, encodeURIComponent(value))
    }
  } else if (given !== undefined || key !== undefined) throw usage('--id and --key of a webhook need --type.')
  for (const each of header) {
    const [, field, value] = /^([^:\s]+):\s*(.*)$/.exec(each) ?? []
    if (field === undefined || value === undefined) throw usage(`${JSON.stringify(each)} is not like 'name: value'.`)
    headers.set(field, value)
  }
  const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(15_000) }).catch(
    (cause: unknown) => {
      throw new ControllerError('NOT_RUNNING', `Nobody answers at ${url}; is the controller running?`, { cause })
    },
  )
  const answer: unknown = await response.json().catch(() => undefined)
  if (response.ok) return { source: name, to: url, answer }
  if (response.status === 401) {
    const message = `${url} refuses the signature; give one with --header 'name: value', or compare secret and clock.`
    throw new ControllerError('SIGNATURE_INVALID', message, { fields: { answer } })
  }
  const code = response.status === 429 || response.status === 413 ? 'LIMIT_EXCEEDED' : 'EVENT_INVALID'
  throw new ControllerError(code, `${url} answers ${response.status}.`, { fields: { answer } })
}

const toKafka = async (
  name: string,
  { topics, brokers, sasl, tls }: Driven<'kafka'>,
  value: string,
  { type, key, id = randomUUID() }: SendOptions,
): Promise<Sent> => {
  const [topic = ''] = topics
  const { createKafkaPublisher } = await import('../../actors/kafka/publisher.ts')
  const { kafkaError } = await import('../../actors/kafka/errors.ts')
  const security = { ...(sasl === undefined ? {} : { sasl }), ...(tls === undefined ? {} : { tls }) }
  const publisher = createKafkaPublisher(brokers, security)
  const headers = { 'content-type': 'application/json', ...prefixed('ce_', attributes(name, type ?? topic, id)) }
  try {
    await publisher.publish(topic, [{ value, headers, ...(key === undefined ? {} : { key }) }])
  } catch (thrown) {
    throw kafkaError(thrown, 'SOURCE_CONNECT_FAILED')
  } finally {
    await publisher.close()
  }
  return { source: name, to: `topic ${topic}`, id }
}

const toRabbitmq = async (
  name: string,
  { url, queue }: Driven<'rabbitmq'>,
  body: string,
  { type, key, id = randomUUID() }: SendOptions,
): Promise<Sent> => {
  const { createRabbitmqPublisher } = await import('../../actors/rabbitmq/publisher.ts')
  const publisher = createRabbitmqPublisher(url)
  const headers = prefixed('cloudEvents:', attributes(name, type ?? queue, id, key))
  try {
    await publisher.publish('', queue, body, { messageId: id, headers })
  } finally {
    await publisher.close()
  }
  return { source: name, to: `queue ${queue}`, id }
}

const attributes = (name: string, type: string, id: string, key?: string): [string, string][] => [
  ['specversion', '1.0'],
  ['id', id],
  ['source', `koksmat:${name}`],
  ['type', type],
  ...(key === undefined ? [] : [['partitionkey', key] satisfies [string, string]]),
]

const prefixed = (prefix: string, given: readonly [string, string][]): Record<string, string> =>
  Object.fromEntries(given.map(([attribute, value]) => [prefix + attribute, value]))
