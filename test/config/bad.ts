import {
  basic,
  bearer,
  type ControllerDefinition,
  env,
  github,
  hmac,
  ignore,
  kafka,
  on,
  poll,
  rabbitmq,
  standardWebhooks,
  stripe,
  tableQueue,
  unsigned,
  webhook,
} from '../../src/index.ts'

/** Stands wherever a bad configuration holds a secret; no message may show it. */
export const canary = 'canary-7f3a'

export interface Bad {
  readonly name: string
  /** JavaScript users have no compiler that stops them. */
  readonly definition: unknown
  readonly variables?: Readonly<Record<string, string>>
  readonly path: string
  /** A part of what was expected. */
  readonly expected: string
}

export const nothing = () => {}
const source = (definition: unknown): unknown => ({ sources: { orders: definition }, handlers: [] })
const handlers = (...definitions: unknown[]): unknown => ({ sources: {}, handlers: definitions })
export const empty: ControllerDefinition = { sources: {}, handlers: [] }
/** Calls a definer with what its types forbid. */
export const made = (definer: unknown, ...options: unknown[]): unknown =>
  (definer as (...given: unknown[]) => unknown)(...options)
const hook = (options: object): unknown =>
  source(made(webhook, { path: '/hooks/a', signature: unsigned(), type: 'a', ...options }))
const trigger = (options: object): unknown => source(made(poll, { table: 't', type: 'a', delete: true, ...options }))

export const bad: readonly Bad[] = [
  { name: 'no definition', definition: undefined, path: 'definition', expected: '`sources`' },
  { name: 'no sources', definition: { handlers: [] }, path: 'sources', expected: 'an object with a source' },
  { name: 'no handlers', definition: { sources: {} }, path: 'handlers', expected: 'on()' },
  {
    name: 'an option that does not exist',
    definition: { ...empty, cocurrency: 3 },
    path: 'cocurrency',
    expected: '`concurrency`',
  },
  { name: 'concurrency 0', definition: { ...empty, concurrency: 0 }, path: 'concurrency', expected: 'from 1 to 1,000' },
  {
    name: 'a broken concurrency',
    definition: { ...empty, concurrency: 1.5 },
    path: 'concurrency',
    expected: 'a whole number',
  },
  {
    name: 'a duration without unit',
    definition: { ...empty, shutdownTimeout: 25 },
    path: 'shutdownTimeout',
    expected: "'5s'",
  },
  {
    name: 'a duration with another unit',
    definition: { ...empty, lockWait: '2 weeks' },
    path: 'lockWait',
    expected: "'24h'",
  },
  {
    name: 'a duration out of range',
    definition: { ...empty, shutdownTimeout: '10ms' },
    path: 'shutdownTimeout',
    expected: 'from 1s to 1d',
  },
  {
    name: 'a pre-stop delay that eats the drain',
    definition: { ...empty, preStopDelay: '25s' },
    path: 'preStopDelay',
    expected: 'less than the shutdown timeout',
  },
  {
    name: 'a schema that is not ours alone',
    definition: { ...empty, journal: { schema: 'public' } },
    path: 'journal.schema',
    expected: 'a schema of its own',
  },
  {
    name: 'a schema with a quote',
    definition: { ...empty, journal: { schema: 'a"b' } },
    path: 'journal.schema',
    expected: 'lower-case letters',
  },
  {
    name: 'a journal that is no Postgres',
    definition: { ...empty, journal: { url: `mysql://u:${canary}@db/x` } },
    path: 'journal.url',
    expected: 'postgres://',
  },
  {
    name: 'a URL that is only a password',
    definition: { ...empty, journal: { url: canary } },
    path: 'journal.url',
    expected: 'postgres://',
  },
  {
    name: 'a source name with a capital',
    definition: { sources: { Orders: tableQueue({ queue: 'a' }) }, handlers: [] },
    path: 'sources.Orders',
    expected: "a name like 'orders'",
  },
  {
    name: 'a source name with a space',
    definition: { sources: { 'my orders': tableQueue({ queue: 'a' }) }, handlers: [] },
    path: 'sources["my orders"]',
    expected: 'a lower-case letter',
  },
  {
    name: 'a source called as the journal',
    definition: { sources: { journal: tableQueue({ queue: 'a' }) }, handlers: [] },
    path: 'sources.journal',
    expected: 'not journal or long',
  },
  {
    name: 'a source no definer made',
    definition: source({ queue: 'orders' }),
    path: 'sources.orders',
    expected: 'rabbitmq()',
  },
  {
    name: 'a misspelled option of a source',
    definition: source(made(rabbitmq, { queue: 'a', url: 'amqp://h', pasword: canary })),
    path: 'sources.orders.pasword',
    expected: 'one of `credit`',
  },
  {
    name: 'a swapped pair of letters',
    definition: source(made(rabbitmq, { queue: 'a', url: 'amqp://h', cerdit: 3 })),
    path: 'sources.orders.cerdit',
    expected: '`credit`',
  },
  {
    name: 'no queue',
    definition: source(made(rabbitmq, { url: 'amqp://h' })),
    path: 'sources.orders.queue',
    expected: 'a name',
  },
  {
    name: 'credit without limit',
    definition: source(made(rabbitmq, { queue: 'a', url: 'amqp://h', credit: Number.POSITIVE_INFINITY })),
    path: 'sources.orders.credit',
    expected: 'there is no "unlimited"',
  },
  {
    name: 'credit 10,001',
    definition: source(tableQueue({ queue: 'a', credit: 10_001 })),
    path: 'sources.orders.credit',
    expected: 'from 1 to 10,000',
  },
  {
    name: 'a broker that is nowhere',
    definition: source(rabbitmq({ queue: 'a' })),
    path: 'sources.orders.url',
    expected: 'here or in one of the two, or tableQueue',
  },
  {
    name: 'a broker URL of another kind',
    definition: source(rabbitmq({ queue: 'a' })),
    variables: { AMQP_URL: `http://u:${canary}@broker` },
    path: 'sources.orders.url',
    expected: 'amqp://',
  },
  {
    name: 'bindings without exchange',
    definition: source(rabbitmq({ queue: 'a', url: 'amqp://h', declare: { bindings: ['#'] } })),
    path: 'sources.orders.declare',
    expected: 'the exchange',
  },
  {
    name: 'no topic',
    definition: source(kafka({ topics: [], groupId: 'g', brokers: 'a:1' })),
    path: 'sources.orders.topics',
    expected: 'one or more topics',
  },
  {
    name: 'a broker without port',
    definition: source(kafka({ topics: ['a'], groupId: 'g' })),
    variables: { KAFKA_BROKERS: `a:1, user:${canary}@b` },
    path: 'sources.orders.brokers',
    expected: "'host:port'",
  },
  {
    name: 'a password that is a number',
    definition: source(
      made(kafka, {
        topics: ['a'],
        groupId: 'g',
        brokers: 'a:1',
        sasl: { mechanism: 'PLAIN', username: 'u', password: 12345678 },
      }),
    ),
    path: 'sources.orders.sasl.password',
    expected: 'a secret',
  },
  {
    name: 'a queue of the journal itself',
    definition: source(tableQueue({ queue: 'long' })),
    path: 'sources.orders.queue',
    expected: "not 'journal' or 'long'",
  },
  {
    name: 'an interval upside down',
    definition: source(tableQueue({ queue: 'a', interval: { min: '10s', max: '1s' } })),
    path: 'sources.orders.interval',
    expected: 'min ≤ max',
  },
  {
    name: 'a poller of a table and a query',
    definition: source(made(poll, { table: 't', query: 'select 1', type: 'a' })),
    path: 'sources.orders',
    expected: 'one of the two',
  },
  {
    name: 'a taken row that is told twice',
    definition: trigger({ mark: { a: 1 } }),
    path: 'sources.orders',
    expected: 'exactly one of them',
  },
  {
    name: 'a mark of nothing',
    definition: trigger({ mark: {}, delete: undefined }),
    path: 'sources.orders.mark',
    expected: 'columns',
  },
  {
    name: 'a type with a star',
    definition: trigger({ type: 'order.*' }),
    path: 'sources.orders.type',
    expected: 'without spaces and stars',
  },
  {
    name: 'a reminder every millisecond',
    definition: source(poll({ query: 'select 1 as key', type: 'a', every: '1ms' })),
    path: 'sources.orders.every',
    expected: 'from 1s',
  },
  {
    name: 'a relative webhook path',
    definition: hook({ path: 'hooks/a' }),
    path: 'sources.orders.path',
    expected: '/hooks/github',
  },
  {
    name: 'a webhook path with a parameter',
    definition: hook({ path: '/hooks/:id' }),
    path: 'sources.orders.path',
    expected: 'without parameters',
  },
  {
    name: 'a webhook without a word on its signature',
    definition: hook({ signature: undefined }),
    path: 'sources.orders.signature',
    expected: 'unsigned()',
  },
  {
    name: 'a secret instead of a signature',
    definition: hook({ signature: canary }),
    path: 'sources.orders.signature',
    expected: 'github(',
  },
  {
    name: 'a secret that is not set',
    definition: hook({ signature: github(env('GITHUB_SECRET')) }),
    path: 'sources.orders.signature',
    expected: 'a value',
  },
  {
    name: 'a secret that is set twice',
    definition: hook({ signature: github(env('GITHUB_SECRET')) }),
    variables: { GITHUB_SECRET: canary, GITHUB_SECRET_FILE: '/run/secrets/x' },
    path: 'sources.orders.signature',
    expected: 'one of the two',
  },
  {
    name: 'a file that is not there',
    definition: hook({ signature: github(env('GITHUB_SECRET')) }),
    variables: { GITHUB_SECRET_FILE: '/nowhere/secret' },
    path: 'sources.orders.signature',
    expected: 'a file this process may read',
  },
  {
    name: 'a short secret',
    definition: hook({ signature: stripe(canary) }),
    path: 'sources.orders.signature',
    expected: 'a secret that fits',
  },
  {
    name: 'a short secret among good ones',
    definition: hook({ signature: bearer(['a'.repeat(32), env('OLD')]) }),
    variables: { OLD: canary },
    path: 'sources.orders.signature',
    expected: 'a secret that fits',
  },
  {
    name: 'a Standard Webhooks secret that is not base64',
    definition: hook({ signature: standardWebhooks(`whsec_${canary}-${'*'.repeat(40)}`) }),
    path: 'sources.orders.signature',
    expected: 'a secret that fits',
  },
  {
    name: 'a user name with a colon',
    definition: hook({ signature: basic({ user: `a:${canary}`, password: 'p'.repeat(24) }) }),
    path: 'sources.orders.signature.user',
    expected: 'without a colon',
  },
  {
    name: 'an unknown digest',
    definition: hook({ signature: made(hmac, { secret: 'p'.repeat(24), header: 'x-sign', algorithm: 'md5' }) }),
    path: 'sources.orders.signature.algorithm',
    expected: "'sha256'",
  },
  {
    name: 'two webhooks on one path',
    definition: {
      sources: {
        a: webhook({ path: '/in', signature: unsigned(), type: 'a' }),
        b: webhook({ path: '/IN', signature: unsigned(), type: 'b' }),
      },
      handlers: [],
    },
    path: 'sources.b.path',
    expected: 'a path of its own',
  },
  { name: 'a handler no definer made', definition: handlers('order.created'), path: 'handlers[0]', expected: 'on()' },
  {
    name: 'a handler that is no function',
    definition: handlers(made(on, 'order.created', {}, 'handle')),
    path: 'handlers[0].handle',
    expected: 'a function',
  },
  {
    name: 'a star in the middle',
    definition: handlers(on('order.*.done', nothing)),
    path: 'handlers[0].type',
    expected: "'order.*'",
  },
  {
    name: 'two handlers of a type',
    definition: handlers(on('a', nothing), ignore('b'), on('a', nothing)),
    path: 'handlers[2].type',
    expected: 'one handler or ignore rule a type',
  },
  {
    name: 'atomic and long',
    definition: handlers(on('a', { atomic: true, long: true }, nothing)),
    path: 'handlers[0]',
    expected: 'one of them',
  },
  {
    name: 'a schema of no standard',
    definition: handlers(made(on, 'a', { schema: { type: 'object' } }, nothing)),
    path: 'handlers[0].schema',
    expected: 'a Standard Schema',
  },
  {
    name: 'no attempts at all',
    definition: handlers(on('a', { retry: { attempts: 0 } }, nothing)),
    path: 'handlers[0].retry.attempts',
    expected: 'from 1',
  },
  {
    name: 'more retries in place than attempts',
    definition: handlers(on('a', { retry: { attempts: 2, inPlace: 2 } }, nothing)),
    path: 'handlers[0].retry',
    expected: 'below `attempts`',
  },
  {
    name: 'a backoff above its bound',
    definition: handlers(on('a', { retry: { backoff: '1h', maxBackoff: '1m' } }, nothing)),
    path: 'handlers[0].retry',
    expected: 'at least `backoff`',
  },
  {
    name: 'a timeout no timer can hold',
    definition: handlers(on('a', { timeout: '30d' }, nothing)),
    path: 'handlers[0].timeout',
    expected: 'to 24d',
  },
  {
    name: 'a port above 65,535',
    definition: empty,
    variables: { PORT: '70000' },
    path: 'PORT',
    expected: 'from 0 to 65,535',
  },
  {
    name: 'a port that Kubernetes made of a service link',
    definition: empty,
    variables: { KOKSMAT_ADMIN_PORT: 'tcp://10.0.0.7:3001' },
    path: 'KOKSMAT_ADMIN_PORT',
    expected: 'a whole number',
  },
  {
    name: 'one port for two servers',
    definition: empty,
    variables: { PORT: '3001' },
    path: 'KOKSMAT_ADMIN_PORT',
    expected: 'another one',
  },
  {
    name: 'an open admin port without token',
    definition: empty,
    variables: { KOKSMAT_ADMIN_HOST: '0.0.0.0' },
    path: 'KOKSMAT_ADMIN_HOST',
    expected: 'KOKSMAT_INSPECTOR_TOKEN',
  },
  {
    name: 'a short admin token',
    definition: empty,
    variables: { KOKSMAT_INSPECTOR_TOKEN: canary },
    path: 'KOKSMAT_INSPECTOR_TOKEN',
    expected: 'at least 32 characters',
  },
  {
    name: 'one token for both roles',
    definition: empty,
    variables: { KOKSMAT_INSPECTOR_TOKEN: canary.repeat(4), KOKSMAT_INSPECTOR_TOKEN_READ: canary.repeat(4) },
    path: 'KOKSMAT_INSPECTOR_TOKEN_READ',
    expected: 'another one',
  },
  {
    name: 'an inspector neither on nor off',
    definition: empty,
    variables: { KOKSMAT_INSPECTOR: 'maybe' },
    path: 'KOKSMAT_INSPECTOR',
    expected: "'off'",
  },
  {
    name: 'an unknown log level',
    definition: empty,
    variables: { LOG_LEVEL: 'loud' },
    path: 'LOG_LEVEL',
    expected: "'debug'",
  },
  {
    name: 'a database of another kind',
    definition: empty,
    variables: { DATABASE_URL: `mysql://u:${canary}@db/x` },
    path: 'DATABASE_URL',
    expected: 'postgres://',
  },
  {
    name: 'a setting that is not true or false',
    definition: empty,
    variables: { KOKSMAT_JOURNAL_MIGRATE: 'yes' },
    path: 'KOKSMAT_JOURNAL_MIGRATE',
    expected: 'true or false',
  },
  {
    name: 'a misspelled variable',
    definition: empty,
    variables: { KOKSMAT_SHUTDOWN_TIMEOT: '5s' },
    path: 'KOKSMAT_SHUTDOWN_TIMEOT',
    expected: 'KOKSMAT_SHUTDOWN_TIMEOUT',
  },
]
