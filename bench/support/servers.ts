import { install } from '../../test/support/install.ts'
import { startKafkaServer } from '../../test/support/kafkaServer.ts'
import { startPostgresServer } from '../../test/support/postgresServer.ts'
import { startRabbitServer } from '../../test/support/rabbitServer.ts'
import { addressedBy, type ServerKind, type TestServer } from '../../test/support/serverKinds.ts'

const starters = { postgres: startPostgresServer, rabbitmq: startRabbitServer, kafka: startKafkaServer }

/** The servers that the environment names, and private ones for the others, named in the environment from now on. */
export const provideServers = async (kinds: ReadonlySet<ServerKind>): Promise<() => Promise<void>> => {
  const started: TestServer[] = []
  for (const kind of kinds) {
    if (process.env[addressedBy[kind]] !== undefined) continue
    await install(kind, (line) => void process.stderr.write(`${kind}: ${line}\n`))
    const server = await starters[kind]()
    started.push(server)
    process.env[addressedBy[kind]] = server.url
  }
  return async () => {
    await Promise.all(started.map((server) => server.stop()))
  }
}

export const addressOf = (kind: ServerKind): string => {
  const address = process.env[addressedBy[kind]]
  if (address === undefined) throw new Error(`The workload does not say that it needs ${kind}.`)
  return address
}
