import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { chromiumProgram, debiansChromium } from './chromium.ts'
import { hasDocker } from './containers.ts'
import { fetchKafka } from './kafkaServer.ts'
import { rabbitProgram } from './rabbitServer.ts'
import { type NeedKind, ServerUnavailable } from './serverKinds.ts'

const run = promisify(execFile)

/**
 * Sees to it that a server of the kind, or the browser, can be started here: what is missing is installed where we are
 * root and there is apt, with a line that says so; otherwise a container must do. No container does for a browser, which
 * has to reach what listens on loopback.
 *
 * @throws ServerUnavailable with the command that would help
 */
export const install = async (kind: NeedKind, say: (line: string) => void): Promise<void> => {
  try {
    await installPrograms[kind](say)
  } catch (thrown) {
    if (kind === 'chromium' || !hasDocker()) throw thrown
    say(`${kind} runs in a container: ${String(thrown)}`)
  }
}

const installPrograms: Readonly<Record<NeedKind, (say: (line: string) => void) => Promise<void>>> = {
  // It comes from npm.
  postgres: async () => {},
  rabbitmq: (say) => installWithApt(say, [existsSync(rabbitProgram) ? undefined : 'rabbitmq-server']),
  kafka: async (say) => {
    await installWithApt(say, [has('java') ? undefined : 'default-jre-headless', has('mvn') ? undefined : 'maven'])
    await fetchKafka(say)
  },
  chromium: (say) => {
    const there = existsSync(chromiumProgram)
    if (!there && chromiumProgram !== debiansChromium) throw new ServerUnavailable(`there is no ${chromiumProgram}`)
    return installWithApt(say, [there ? undefined : 'chromium'])
  },
}

const installWithApt = async (say: (line: string) => void, wanted: readonly (string | undefined)[]): Promise<void> => {
  const packages = wanted.filter((name) => name !== undefined)
  if (packages.length === 0) return
  const names = packages.join(' ')
  if (process.getuid?.() !== 0 || !has('apt-get'))
    throw new ServerUnavailable(`not installed: apt-get install ${names}`)
  say(`installing ${names} …`)
  const startedAt = Date.now()
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  try {
    await run('apt-get', ['update', '-q'], { env })
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], { env, maxBuffer: 1e8 })
  } catch (thrown) {
    throw new ServerUnavailable(
      `apt-get install ${names} failed: ${String(thrown).trim().split('\n').slice(-3).join(' ')}`,
    )
  }
  say(`installed ${names} in ${Math.round((Date.now() - startedAt) / 1000)} s`)
}

const has = (program: string): boolean => spawnSync('which', [program], { stdio: 'ignore' }).status === 0
