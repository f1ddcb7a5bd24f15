import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { answers } from './answers.ts'
import { startContainer } from './containers.ts'
import { freePort } from './freePort.ts'
import { guarded } from './guarded.ts'
import { listens } from './listens.ts'
import { onceMore } from './onceMore.ts'
import { startRestartable } from './restartable.ts'
import type { TestServer } from './serverKinds.ts'
import { until } from './until.ts'

/** The broker itself, which Debian's wrapper of the same name in /usr/sbin only lets root and `rabbitmq` start. */
export const rabbitProgram = '/usr/lib/rabbitmq/bin/rabbitmq-server'

export interface RabbitServer extends TestServer {
  /** Runs `rabbitmqctl` on it (about 0.6 s) and gives what it printed. */
  rabbitmqctl(...args: string[]): Promise<string>
}

/** A RabbitMQ of one's own: one node with its own name, ports, epmd and folder. */
export const startRabbitServer = onceMore(async (): Promise<RabbitServer> => {
  if (!existsSync(rabbitProgram)) {
    const container = await startContainer('rabbitmq')
    return {
      ...container,
      rabbitmqctl: (...args) => output('docker', ['exec', container.name, 'rabbitmqctl', ...args]),
    }
  }
  const home = guarded('rabbitmq')
  const [port, distribution, epmdPort] = [await freePort(), await freePort(), await freePort()]
  const environment = {
    PATH: process.env['PATH'],
    HOME: home.folder,
    RABBITMQ_NODENAME: `koksmat-${randomBytes(4).toString('hex')}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_MNESIA_BASE: join(home.folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(home.folder, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(home.folder, 'enabled_plugins'),
    RABBITMQ_PID_FILE: join(home.folder, 'pid'),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(epmdPort),
  }
  const server = await startRestartable({
    home,
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    prepare: async () => {
      // A node that finds no epmd starts one that stays; this one is ours and ends with us.
      const names = home.start('epmd', ['-port', String(epmdPort), '-address', '127.0.0.1'], environment)
      await until(() => listens(epmdPort) || !names.alive())
    },
    spawn: () => home.start(rabbitProgram, [], environment),
    answers: answers.rabbitmq,
  })
  const program = join(dirname(rabbitProgram), 'rabbitmqctl')
  return { ...server, rabbitmqctl: (...args) => output(program, ['-q', ...args], environment) }
})

const output = async (command: string, args: readonly string[], env = process.env): Promise<string> =>
  (await promisify(execFile)(command, args, { env })).stdout
