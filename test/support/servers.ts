import type { TestProject } from 'vitest/node'
import { install } from './install.ts'
import { startKafkaServer } from './kafkaServer.ts'
import { needsOf } from './needs.ts'
import { startPostgresServer } from './postgresServer.ts'
import { startRabbitServer } from './rabbitServer.ts'
import { addressedBy, injectedAs, type NeedKind, needKinds, type ServerKind, type TestServer } from './serverKinds.ts'

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string
    amqpUrl: string
    kafkaBrokers: string
    /** What could not be had, and why. Tests that need any of it are skipped by `needyRunner.ts`. */
    unavailable: Partial<Record<NeedKind, string>>
  }
}

const starters = { postgres: startPostgresServer, rabbitmq: startRabbitServer, kafka: startKafkaServer }

/**
 * Once a test run: finds or starts the servers that the selected test files need, and only those. The browser is only
 * seen to be there: each file that needs it starts its own.
 *
 * For each kind: 1. the address in the environment, as it is; 2. a private server from what is installed; 3. installed
 * first, where we are root and have apt; 4. a container; 5. its tests are skipped and counted as NOT TESTED (see
 * `closingLine.ts`), which is a failure where `CI=true`.
 */
export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const { vitest } = project
  const needs = vitest.state.getPaths().map(needsOf)
  const unavailable: Partial<Record<NeedKind, string>> = {}
  const running: TestServer[] = []

  const start = async (kind: ServerKind, say: (line: string) => void): Promise<void> => {
    const startedAt = Date.now()
    const server = await starters[kind]()
    running.push(server)
    project.provide(injectedAs[kind], server.url)
    say(`started in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
  }

  const provide = async (kind: NeedKind): Promise<void> => {
    const say = (line: string) => vitest.logger.log(`${kind}: ${line}`)
    const own = needs.some((need) => need.own.has(kind))
    const shared = kind !== 'chromium' && needs.some((need) => need.shared.has(kind)) ? kind : undefined
    const address = shared && process.env[addressedBy[shared]]
    if (shared !== undefined && address !== undefined) project.provide(injectedAs[shared], address)
    const toStart = address === undefined ? shared : undefined
    if (toStart === undefined && !own) return
    try {
      await install(kind, say)
      if (toStart !== undefined) await start(toStart, say)
    } catch (thrown) {
      unavailable[kind] = thrown instanceof Error ? thrown.message : String(thrown)
    }
  }

  // One after the other: two cores, and one apt.
  for (const kind of needKinds) await provide(kind)
  project.provide('unavailable', unavailable)
  return async () => void (await Promise.all(running.map((server) => server.stop())))
}
