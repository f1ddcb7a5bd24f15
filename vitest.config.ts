import { defineConfig } from 'vitest/config'
import { closingLine } from './test/support/closingLine.ts'

if (Number(process.versions.node.split('.')[0]) < 24) {
  throw new Error(
    `Node ${process.version} is too old: use npm test or npx vitest, which find Node 24 in node_modules/.bin`,
  )
}

/** Suffixes say the kind: functions, real servers, real processes. */
const kind = (name: string, testTimeout: number) => ({
  extends: true as const,
  test: { name, include: [`test/**/*.${name}.test.ts`], testTimeout, hookTimeout: 90_000 },
})

export default defineConfig({
  test: {
    projects: [kind('unit', 10_000), kind('int', 60_000), kind('e2e', 180_000)],
    globalSetup: './test/support/servers.ts',
    setupFiles: './test/support/leakedHandles.ts',
    runner: './test/support/needyRunner.ts',
    reporters: ['default', closingLine()],
    pool: 'forks',
    passWithNoTests: false,
  },
})
