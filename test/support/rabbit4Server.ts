import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { answers } from './answers.ts'
import { freePort } from './freePort.ts'
import { guarded } from './guarded.ts'
import type { RabbitServer } from './rabbitServer.ts'
import { startRestartable } from './restartable.ts'
import { ServerUnavailable } from './serverKinds.ts'
import { until } from './until.ts'

const run = promisify(execFile)
const cache = join(homedir(), '.cache', 'koksmat-controller')
const root = join(cache, 'rabbitmq-4')
const programs = '/usr/lib/rabbitmq/bin'

/** How long the first start may take, which fetches it. */
export const rabbit4FetchMs = 600_000

/**
 * A RabbitMQ 4 of one's own, beside the 3.x of Debian 12: that of Debian 13, in a folder that is the root of its
 * processes. Only for root; fetched into the cache when it is not there.
 */
export const startRabbit4Server = async (): Promise<RabbitServer> => {
  await fetchRabbit4()
  const home = guarded('rabbitmq4')
  const name = randomBytes(4).toString('hex')
  const inside = `/tmp/koksmat-${name}`
  const outside = join(root, inside)
  mkdirSync(outside)
  chmodSync(outside, 0o777)
  home.watch({ command: ['sh', '-c', `sleep 2; rm -rf ${outside}`] })
  const [port, distribution, epmdPort] = [await freePort(), await freePort(), await freePort()]
  const environment = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: inside,
    LANG: 'C.UTF-8',
    RABBITMQ_NODENAME: `koksmat-${name}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_MNESIA_BASE: `${inside}/mnesia`,
    RABBITMQ_LOG_BASE: `${inside}/log`,
    RABBITMQ_ENABLED_PLUGINS_FILE: `${inside}/enabled_plugins`,
    RABBITMQ_PID_FILE: `${inside}/pid`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(epmdPort),
  }
  const within = (program: string, ...args: string[]) => ['--userspec=rabbitmq:rabbitmq', root, program, ...args]
  const server = await startRestartable({
    home,
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    prepare: async () => {
      const names = home.start(
        'chroot',
        within('/usr/bin/epmd', '-port', String(epmdPort), '-address', '127.0.0.1'),
        environment,
      )
      await until(() => names.alive())
    },
    spawn: () => home.start('chroot', within(`${programs}/rabbitmq-server`), environment),
    answers: answers.rabbitmq,
  })
  return {
    ...server,
    rabbitmqctl: async (...args) =>
      (await run('chroot', within(`${programs}/rabbitmqctl`, '-q', ...args), { env: environment })).stdout,
  }
}

const fetchRabbit4 = async (): Promise<void> => {
  if (existsSync(root)) return
  const help = 'debootstrap --variant=minbase --include=rabbitmq-server trixie FOLDER'
  if (process.getuid?.() !== 0) throw new ServerUnavailable(`RabbitMQ 4 is set up by root only: ${help}`)
  mkdirSync(cache, { recursive: true })
  const draft = mkdtempSync(join(cache, 'fetching-'))
  try {
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', 'debootstrap'], { maxBuffer: 1e8 })
    await run('debootstrap', ['--variant=minbase', '--include=rabbitmq-server', 'trixie', draft], { maxBuffer: 1e8 })
    writeFileSync(join(draft, 'etc/hosts'), '127.0.0.1 localhost\n')
    chmodSync(draft, 0o755)
    if (existsSync(root)) rmSync(draft, { recursive: true })
    else renameSync(draft, root)
  } catch (thrown) {
    rmSync(draft, { recursive: true, force: true })
    throw new ServerUnavailable(`${help} failed: ${String(thrown).trim().split('\n').slice(-3).join(' ')}`)
  }
}
