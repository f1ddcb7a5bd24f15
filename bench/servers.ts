import { install } from '../test/support/install.ts'
import { startPostgresServer } from '../test/support/postgresServer.ts'
import { startRabbitServer } from '../test/support/rabbitServer.ts'
import { addressedBy } from '../test/support/serverKinds.ts'

interface Server {
  readonly url: string
  stop(): Promise<void>
}

const starters = { postgres: startPostgresServer, rabbitmq: startRabbitServer }

/** The server that the environment names, or a private one that is gone afterwards. */
export const serverFor = async (kind: keyof typeof starters): Promise<Server> => {
  const url = process.env[addressedBy[kind]]
  if (url !== undefined) return { url, stop: async () => undefined }
  await install(kind, (line) => void process.stderr.write(`${kind}: ${line}\n`))
  return starters[kind]()
}
