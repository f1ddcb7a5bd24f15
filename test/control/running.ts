import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { inject } from 'vitest'
import { resolveConfig } from '../../src/config/resolve.ts'
import { createController } from '../../src/controller.ts'
import type { ControllerDefinition } from '../../src/index.ts'
import { createLog } from '../../src/log.ts'
import { freePort } from '../support/freePort.ts'
import { until } from '../support/until.ts'

/** A real controller inside the test, and what an operator has: the admin port, the log, the database. */
export interface Operated extends AsyncDisposable {
  readonly admin: string
  readonly webhooks: string
  /** SQL for the number of a lock. */
  lockKey(name: string): string
  readonly lines: readonly Readonly<Record<string, unknown>>[]
  /** All that was logged, as text. */
  log(): string
  control(command: object, token?: string): Promise<{ status: number; body: Readonly<Record<string, unknown>> }>
  status(): Promise<Awaited<ReturnType<ReturnType<typeof createController>['status']>>>
  enqueue(queue: string, type: string, id: string, data?: unknown): Promise<void>
  parked(): Promise<readonly { readonly seq: string; readonly id: string; readonly parkedAt: string }[]>
  readonly controller: ReturnType<typeof createController>
  /** What the operator's log lines say, without who. */
  audited(): readonly unknown[]
}

export const operated = async (
  definition: ControllerDefinition,
  variables: Readonly<Record<string, string>> = {},
): Promise<Operated> => {
  const schema = `ctl_${randomBytes(4).toString('hex')}`
  const database = new Client({ connectionString: inject('databaseUrl') })
  await database.connect()
  const port = await freePort()
  const environment = {
    DATABASE_URL: inject('databaseUrl'),
    KOKSMAT_JOURNAL_SCHEMA: schema,
    KOKSMAT_ADMIN_PORT: '0',
    PORT: String(port),
    ...variables,
  }
  let text = ''
  const lines: Readonly<Record<string, unknown>>[] = []
  const write = (line: string): void => {
    text += line
    lines.push(JSON.parse(line))
  }
  const config = resolveConfig(definition, environment, { folder: import.meta.dirname })
  const log = createLog({ level: config.log.level, format: 'json', to: { write } })
  const controller = createController(config, { log, folder: import.meta.dirname })
  await controller.start()
  const started = lines.find(({ msg }) => msg === 'controller started')
  const admin = `http://127.0.0.1:${started?.['admin']}`
  const bearer = (token: string | undefined) => (token === undefined ? {} : { authorization: `Bearer ${token}` })
  await until(() => controller.probes().ready)

  return {
    admin,
    webhooks: `http://127.0.0.1:${port}`,
    lockKey: (name) => `hashtextextended('koksmat:${schema}:' || '${name}', 0)`,
    lines,
    controller,
    log: () => text,
    control: async (command, token) => {
      const headers = { 'content-type': 'application/json', ...bearer(token) }
      const answer = await fetch(`${admin}/control`, { method: 'POST', headers, body: JSON.stringify(command) })
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
    },
    status: () => controller.status(),
    enqueue: async (queue, type, id, data = {}) => {
      await database.query(`select ${schema}.enqueue($1, $2, $3, id => $4)`, [queue, type, JSON.stringify(data), id])
    },
    parked: () => controller.parked.list({ limit: 100 }),
    audited: () =>
      lines
        .filter(({ msg }) => msg === 'operator command')
        .map(({ level, time, actor, msg, by, address, ...rest }) => rest),
    [Symbol.asyncDispose]: async () => {
      controller.drain('the test is over')
      controller.abort('the test is over')
      await controller.stopped
      await database.query(`drop schema if exists ${schema} cascade`)
      await database.end()
    },
  }
}
