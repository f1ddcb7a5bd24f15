import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isAlive } from '../../src/embedded/processes.ts'
import { answers } from './answers.ts'
import { startProcess } from './processDriver.ts'
import { until } from './until.ts'

test.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)(
  'after %s no process, port or folder of a test run stays',
  async (signal) => {
    await using run = startProcess([join(import.meta.dirname, 'guarded.child.ts')])
    await run.says(/"url"/)
    const { folder, sleeper, url } = run.log()[0] ?? {}
    expect(await answers.postgres(String(url))).toBe(true)
    expect(existsSync(String(folder))).toBe(true)

    run.signal(signal, { group: true })
    await run.exit
    await until(() => !isAlive(Number(sleeper)) && !existsSync(String(folder)))
    await until(() =>
      answers.postgres(String(url)).then(
        () => false,
        () => true,
      ),
    )
  },
)
