import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { answers } from './answers.ts'
import { freePort } from './freePort.ts'
import { guarded } from './guarded.ts'
import { type ServerKind, ServerUnavailable, type TestServer } from './serverKinds.ts'
import { until } from './until.ts'

interface Image {
  readonly name: string
  readonly port: number
  environment(port: number): Readonly<Record<string, string>>
  url(port: number): string
}

const images: Readonly<Record<ServerKind, Image>> = {
  postgres: {
    name: 'postgres:18',
    port: 5432,
    environment: () => ({ POSTGRES_PASSWORD: 'postgres' }),
    url: (port) => `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`,
  },
  rabbitmq: {
    name: 'rabbitmq:4.0',
    port: 5672,
    environment: () => ({}),
    url: (port) => `amqp://guest:guest@127.0.0.1:${port}`,
  },
  kafka: {
    name: 'apache/kafka:4.1.0',
    port: 9092,
    environment: (port) => ({
      KAFKA_NODE_ID: '1',
      KAFKA_PROCESS_ROLES: 'broker,controller',
      KAFKA_CONTROLLER_QUORUM_VOTERS: '1@127.0.0.1:9093',
      KAFKA_LISTENERS: 'PLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093',
      KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
      KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
    }),
    url: (port) => `127.0.0.1:${port}`,
  },
}

export const hasDocker = (): boolean => spawnSync('docker', ['info'], { stdio: 'ignore' }).status === 0

/** A server in a container, for machines where none can be installed. */
export const startContainer = async (kind: ServerKind): Promise<TestServer & { readonly name: string }> => {
  const image = images[kind]
  const home = guarded(kind)
  const name = `koksmat-${kind}-${randomBytes(4).toString('hex')}`
  const port = await freePort()
  const url = image.url(port)
  home.watch({ command: ['docker', 'rm', '--force', '--volumes', name] })
  const ready = () => until(() => answers[kind](url), 120_000).then(() => {})
  try {
    const variables = Object.entries(image.environment(port)).flatMap(([key, value]) => ['--env', `${key}=${value}`])
    docker('run', '--detach', '--name', name, '--publish', `127.0.0.1:${port}:${image.port}`, ...variables, image.name)
    await ready()
  } catch (thrown) {
    await home.end()
    throw thrown
  }
  return {
    name,
    url,
    stop: home.end,
    restart: async () => {
      docker('restart', name)
      await ready()
    },
    kill: async () => docker('kill', name),
    pause: async () => docker('pause', name),
    resume: () => docker('unpause', name),
  }
}

const docker = (...args: string[]): void => {
  const { status, stderr } = spawnSync('docker', args, { encoding: 'utf8' })
  if (status !== 0) throw new ServerUnavailable(`docker ${args[0]}: ${stderr.trim()}`)
}
