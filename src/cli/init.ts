import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { configNames } from '../config/load.ts'
import { nearestPackage } from '../version.ts'

/**
 * `init`: asks nothing, overwrites nothing, and says what it wrote and what it kept.
 *
 * The files are `.mts` unless the package says `"type": "module"`: `npm init` writes `"commonjs"`, and in such a package
 * Node takes no `import` in a `.ts` file.
 */
export interface Initialised {
  readonly folder: string
  readonly written: readonly string[]
  readonly kept: readonly string[]
}

type Extension = 'ts' | 'mts'

const configFile = (
  extension: Extension,
): string => `import { defineController, on, tableQueue } from 'koksmat-controller'
import { orderCreated } from './handlers/orderCreated.${extension}'

export default defineController({
  sources: {
    // A queue in Postgres: \`select koksmat.enqueue('orders', 'order.created', '{"order": 1}')\`, in your own transaction.
    orders: tableQueue({ queue: 'orders' }),

    // A RabbitMQ queue and Kafka topics; their addresses are AMQP_URL and KAFKA_BROKERS.
    // payments: rabbitmq({ queue: 'payments' }),
    // stock: kafka({ topics: ['stock'], groupId: 'my-controller' }),

    // Rows of a table, as they appear.
    // invoices: poll({ table: 'invoices', where: "status = 'new'", mark: { status: 'seen' }, type: 'invoice.created' }),

    // A webhook, verified with the secret in GITHUB_SECRET.
    // github: webhook({ path: '/hooks/github', signature: github(env('GITHUB_SECRET')), type: 'github.push' }),
  },
  handlers: [on('order.created', orderCreated)],
})
`

const handlerFile = `import type { ArrivedEvent, HandlerContext } from 'koksmat-controller'

export const orderCreated = async (_event: ArrivedEvent, { log, attempt }: HandlerContext): Promise<void> => {
  log.info({ attempt }, 'order created')
}
`

const ignored = '.koksmat/'

export const init = (target: string): Initialised => {
  const folder = resolve(target)
  const written: string[] = []
  const kept: string[] = []
  const write = (name: string, content: string): void => {
    const file = join(folder, name)
    if (existsSync(file)) kept.push(name)
    else {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content, { flag: 'wx' })
      written.push(name)
    }
  }
  const config = configNames.find((name) => existsSync(join(folder, name)))
  if (config === undefined) {
    const extension = nearestPackage(folder)?.type === 'module' ? 'ts' : 'mts'
    write(`controller.config.${extension}`, configFile(extension))
    write(`handlers/orderCreated.${extension}`, handlerFile)
  } else kept.push(config)
  const gitignore = join(folder, '.gitignore')
  const before = existsSync(gitignore) ? readFileSync(gitignore, 'utf8') : ''
  if (before.split(/\r?\n/).includes(ignored)) kept.push('.gitignore')
  else {
    writeFileSync(gitignore, `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${ignored}\n`)
    written.push('.gitignore')
  }
  return { folder, written, kept }
}
