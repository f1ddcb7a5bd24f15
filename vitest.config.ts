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
  test: { name, include: [`test/**/*.${name}.test.ts`], testTimeout, hookTimeout: 180_000 },
})

/** Tests that fill the machine by themselves: after all others, one at a time. */
const alone = () => {
  const { test, ...project } = kind('alone', 180_000)
  return { ...project, test: { ...test, maxWorkers: 1, sequence: { groupOrder: 1 } } }
}

/** The fault matrix: with the figures of tier P within `npm test`, of tier N by `vitest.faults.config.ts`. */
const faults = (faultTier: 'P' | 'N') => {
  const { test, ...project } = kind('faults', 180_000)
  return { ...project, test: { ...test, provide: { faultTier } } }
}

/** Most tests wait for servers and processes: more of them at a time than there are cores. */
const maxWorkers = 3

const common = {
  globalSetup: './test/support/servers.ts',
  setupFiles: ['./test/support/leakedHandles.ts', './test/support/noSecretsWritten.ts'],
  runner: './test/support/needyRunner.ts',
  pool: 'forks' as const,
  passWithNoTests: false,
}

/** Everything of `npm run test:faults` but its table: one file after the other, on a machine of its own. */
export const fullFaults = { ...common, projects: [faults('N')], fileParallelism: false }

export default defineConfig({
  test: {
    ...common,
    maxWorkers,
    projects: [kind('unit', 10_000), kind('int', 60_000), kind('e2e', 180_000), faults('P'), alone()],
    reporters: ['default', closingLine()],
  },
})
