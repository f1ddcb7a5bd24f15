import { expect, test } from 'vitest'
import { resolveConfig } from '../../src/config/resolve.ts'
import {
  type ControllerDefinition,
  env,
  github,
  ignore,
  kafka,
  on,
  poll,
  rabbitmq,
  tableQueue,
  unsigned,
  webhook,
} from '../../src/index.ts'

const empty: ControllerDefinition = { sources: {}, handlers: [] }
const nothing = () => {}
const off = { terminal: false }

test('an empty definition has every default in place', () => {
  expect(resolveConfig({ ...empty, codeVersion: '1.2.3' }, {}, off)).toEqual({
    sources: {},
    handlers: [],
    concurrency: 16,
    longConcurrency: 8,
    shutdownTimeoutMs: 25_000,
    preStopDelayMs: 0,
    lockWaitMs: 30_000,
    codeVersion: '1.2.3',
    journal: { schema: 'koksmat', migrate: true },
    webhooks: { host: '127.0.0.1', port: 3000 },
    admin: { host: '127.0.0.1', port: 3001, tokens: {} },
    inspector: { on: true },
    log: { level: 'info', format: 'json' },
  })
})

test('each kind of source has its defaults in place', () => {
  const variables = { AMQP_URL: 'amqp://broker', KAFKA_BROKERS: 'one:9092, two:9092', SECRET: 's'.repeat(24) }
  const { sources } = resolveConfig(
    {
      sources: {
        orders: rabbitmq({ queue: 'orders' }),
        stock: kafka({ topics: ['stock'], groupId: 'controller' }),
        tasks: tableQueue({ queue: 'tasks' }),
        invoices: poll({
          table: 'invoices',
          where: `status = 'new'`,
          mark: { status: 'seen' },
          type: 'invoice.created',
        }),
        lowStock: poll({ query: 'select 1 as key', type: 'stock.low', clears: 'stock.ok', every: '1h' }),
        hooks: webhook({ path: '/hooks', signature: github(env('SECRET')), type: 'hook', rate: { perSecond: 5 } }),
      },
      handlers: [],
    },
    variables,
  )
  const credit = { events: 32, bytes: 64 * 1024 * 1024 }
  const pollMs = { min: 2_000, max: 30_000 }
  expect(sources).toMatchObject({
    orders: {
      driver: 'rabbitmq',
      kind: 'queue',
      credit,
      options: {
        url: 'amqp://broker',
        queue: 'orders',
        deadLetter: false,
        heartbeatSeconds: 5,
        connectTimeoutMs: 10_000,
        maxEventBytes: 16 * 1024 * 1024,
      },
    },
    stock: {
      driver: 'kafka',
      kind: 'queue',
      credit,
      options: {
        brokers: ['one:9092', 'two:9092'],
        topics: ['stock'],
        groupId: 'controller',
        clientId: 'koksmat-controller',
        from: 'earliest',
        sessionTimeoutMs: 30_000,
        commitIntervalMs: 200,
      },
    },
    tasks: { driver: 'tableQueue', kind: 'queue', credit, options: { queue: 'tasks', pollMs } },
    invoices: {
      driver: 'poll',
      kind: 'database',
      options: { mode: 'trigger', key: 'id', take: { mark: { status: 'seen' } }, pollMs },
    },
    lowStock: { driver: 'poll', options: { mode: 'condition', clears: 'stock.ok', everyMs: 3_600_000 } },
    hooks: {
      driver: 'webhook',
      kind: 'webhook',
      options: {
        method: 'POST',
        reply: 'accepted',
        maxBodyBytes: 1024 * 1024,
        timeoutMs: 10_000,
        rate: { perSecond: 5, burst: 5 },
        signature: { name: 'github' },
      },
    },
  })
  expect(sources['orders']?.options).not.toHaveProperty('declare')
})

test('a queue to be declared is a durable quorum queue, bound where an exchange is named', () => {
  const declared = (declare: Parameters<typeof rabbitmq>[0]['declare'] & {}) => {
    const definition = { ...empty, sources: { orders: rabbitmq({ queue: 'orders', url: 'amqp://h', declare }) } }
    return resolveConfig(definition, {}).sources['orders']?.options
  }
  expect(declared(true)).toMatchObject({ declare: { type: 'quorum', durable: true } })
  expect(declared(false)).not.toHaveProperty('declare')
  expect(declared({ exchange: 'events' })).toMatchObject({
    declare: { exchange: { name: 'events', type: 'topic', durable: true }, bindings: ['#'] },
  })
  expect(declared({ exchange: { name: 'direct', type: 'direct' } })).toMatchObject({
    declare: { bindings: ['orders'] },
  })
})

test('credentials for Kafka are read from the environment', () => {
  const variables = { USER_NAME: 'u', USER_PASSWORD: 'p', TOKEN: 't' }
  const sasl = (given: NonNullable<Parameters<typeof kafka>[0]['sasl']>) => {
    const source = kafka({ topics: ['a'], groupId: 'a', brokers: 'a:1', tls: true, sasl: given })
    return resolveConfig({ ...empty, sources: { source } }, variables).sources['source']?.options
  }
  expect(sasl({ mechanism: 'PLAIN', username: env('USER_NAME'), password: env('USER_PASSWORD') })).toMatchObject({
    sasl: { mechanism: 'PLAIN', username: 'u', password: 'p' },
    tls: {},
  })
  expect(sasl({ mechanism: 'OAUTHBEARER', token: env('TOKEN') })).toMatchObject({
    sasl: { mechanism: 'OAUTHBEARER', token: 't' },
  })
})

test('an option set to undefined counts as not given', () => {
  const definition = { ...empty, concurrency: undefined } as unknown as ControllerDefinition
  expect(resolveConfig(definition, {}).concurrency).toBe(16)
})

test('handlers have their defaults in place, and atomic ones remember what they handled', () => {
  const { handlers } = resolveConfig(
    {
      sources: {},
      handlers: [
        on('a', nothing),
        on('b', { atomic: true }, nothing),
        on('c', { atomic: 'ledger', dedup: '1d' }, nothing),
        on('d', { long: true }, nothing),
        on('e', { retry: { attempts: 1 } }, nothing),
        ignore('f.*'),
      ],
    },
    {},
  )
  const retry = { attempts: 5, inPlace: 1, backoffMs: 1_000, maxBackoffMs: 60_000 }
  expect(handlers).toEqual([
    { type: 'a', handle: nothing, retry, long: false, timeoutMs: 30_000 },
    { type: 'b', handle: nothing, retry, long: false, timeoutMs: 30_000, lock: 'controller', dedupMs: 604_800_000 },
    { type: 'c', handle: nothing, retry, long: false, timeoutMs: 30_000, lock: 'ledger', dedupMs: 86_400_000 },
    { type: 'd', handle: nothing, retry, long: true },
    { type: 'e', handle: nothing, retry: { ...retry, attempts: 1, inPlace: 0 }, long: false, timeoutMs: 30_000 },
    { type: 'f.*', retry, long: false, timeoutMs: 30_000 },
  ])
})

test('settings of the deployment win over those of the file', () => {
  const file = { ...empty, concurrency: 4, shutdownTimeout: '10s', journal: { schema: 'mine', migrate: true } } as const
  const config = resolveConfig(
    file,
    {
      KOKSMAT_CONCURRENCY: '2',
      KOKSMAT_SHUTDOWN_TIMEOUT: '60s',
      KOKSMAT_JOURNAL_SCHEMA: 'theirs',
      KOKSMAT_JOURNAL_MIGRATE: 'false',
      HOST: '0.0.0.0',
      PORT: '8080',
      LOG_LEVEL: 'DEBUG',
      KOKSMAT_LOG_FORMAT: 'pretty',
      KOKSMAT_CODE_VERSION: 'abc',
    },
    off,
  )
  expect(config).toMatchObject({
    concurrency: 2,
    shutdownTimeoutMs: 60_000,
    codeVersion: 'abc',
    journal: { schema: 'theirs', migrate: false },
    webhooks: { host: '0.0.0.0', port: 8080 },
    log: { level: 'debug', format: 'pretty' },
  })
})

test('a server named in the file wins over the standard variable', () => {
  const variables = { AMQP_URL: 'amqp://standard', DATABASE_URL: 'postgres://standard/d', OTHER: 'postgres://other/d' }
  const { sources, journal } = resolveConfig(
    {
      sources: { a: rabbitmq({ queue: 'a', url: 'amqp://named' }), b: rabbitmq({ queue: 'b' }) },
      handlers: [],
      journal: { url: env('OTHER') },
    },
    variables,
  )
  expect(sources['a']?.options).toHaveProperty('url', 'amqp://named')
  expect(sources['b']?.options).toHaveProperty('url', 'amqp://standard')
  expect(journal.url).toBe('postgres://other/d')
  expect(resolveConfig(empty, variables).journal.url).toBe('postgres://standard/d')
})

test('in Kubernetes the drain begins 5 s after the signal, unless told otherwise', () => {
  const kubernetes = { KUBERNETES_SERVICE_HOST: '10.0.0.1' }
  expect(resolveConfig(empty, kubernetes).preStopDelayMs).toBe(5_000)
  expect(resolveConfig({ ...empty, preStopDelay: '1s' }, kubernetes).preStopDelayMs).toBe(1_000)
  expect(resolveConfig(empty, { ...kubernetes, KOKSMAT_PRE_STOP_DELAY: '0s' }).preStopDelayMs).toBe(0)
})

test('the admin port may be opened with a token of 32 characters, also from a file', () => {
  const open = { KOKSMAT_ADMIN_HOST: '0.0.0.0' }
  const token = 't'.repeat(32)
  const read = 'r'.repeat(32)
  expect(resolveConfig(empty, { ...open, KOKSMAT_INSPECTOR_TOKEN: token }).admin).toEqual({
    host: '0.0.0.0',
    port: 3001,
    tokens: { operate: token },
  })
  const both = { KOKSMAT_INSPECTOR_TOKEN: token, KOKSMAT_INSPECTOR_TOKEN_READ: read }
  expect(resolveConfig(empty, both).admin.tokens).toEqual({ operate: token, read })
  expect(resolveConfig(empty, { ...open, KOKSMAT_INSPECTOR_TOKEN_READ: read }).admin.tokens).toEqual({ read })
  const readFile = (path: string): string => (path === '/run/secrets/token' ? `${token}\n` : '')
  const fromFile = resolveConfig(empty, { ...open, KOKSMAT_INSPECTOR_TOKEN_FILE: '/run/secrets/token' }, { readFile })
  expect(fromFile.admin.tokens.operate).toBe(token)
  for (const host of ['localhost', '::1', '127.3.2.1']) {
    expect(resolveConfig(empty, { KOKSMAT_ADMIN_HOST: host }).admin).toEqual({ host, port: 3001, tokens: {} })
  }
})

test('the inspector can be switched off', () => {
  expect(resolveConfig(empty, { KOKSMAT_INSPECTOR: 'off' }).inspector).toEqual({ on: false })
})

test('an env reference has a fallback, and an empty variable counts as unset', () => {
  const definition = { ...empty, journal: { url: env('JOURNAL', 'postgres://fallback/d') } }
  expect(resolveConfig(definition, { JOURNAL: '' }).journal.url).toBe('postgres://fallback/d')
  expect(resolveConfig(definition, { JOURNAL: 'postgres://set/d' }).journal.url).toBe('postgres://set/d')
  expect(resolveConfig(empty, { PORT: '' }).webhooks.port).toBe(3000)
})

test('logs are readable on a terminal and JSON elsewhere', () => {
  expect(resolveConfig(empty, {}, { terminal: true }).log.format).toBe('pretty')
  expect(resolveConfig(empty, { KOKSMAT_LOG_FORMAT: 'json' }, { terminal: true }).log.format).toBe('json')
})

test('two ports of 0 are two free ports, not one', () => {
  const config = resolveConfig(empty, { PORT: '0', KOKSMAT_ADMIN_PORT: '0' })
  expect([config.webhooks.port, config.admin.port]).toEqual([0, 0])
})

test('a poller of the journal database listens there', () => {
  const sources = { a: poll({ table: 't', delete: true, type: 'a', notify: 'changed' }) }
  const config = resolveConfig({ sources, handlers: [] }, { DATABASE_URL: 'postgres://h/d' })
  expect(config.sources['a']?.options).toMatchObject({ notify: 'changed', notifyUrl: 'postgres://h/d' })
})

test('the code version is that of the nearest package.json', () => {
  expect(resolveConfig(empty, {}, { folder: import.meta.dirname }).codeVersion).toMatch(/^\d+\.\d+\.\d+/)
  expect(resolveConfig(empty, {}, { folder: '/' }).codeVersion).toBe('unknown')
})

test('unsigned webhooks are accepted when they say so', () => {
  const sources = { a: webhook({ path: '/in', signature: unsigned(), type: 'a' }) }
  const options = resolveConfig({ sources, handlers: [] }, {}).sources['a']?.options
  expect(options).toMatchObject({ signature: { name: 'unsigned' } })
})
