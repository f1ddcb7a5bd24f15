import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem, version } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import type { Reporter, TestCase } from 'vitest/node'
import type { FaultRecord } from './record.ts'

/**
 * Keeps the results of `npm run test:faults` in `docs/faults.json` and, readable, in `docs/faults.md`. They are written
 * after each row, and a row that was not run keeps its last result: a run may be cut and gone on with.
 */
export const faultTable = (folder: string): Reporter => {
  const json = join(folder, 'faults.json')
  const results = new Map(existsSync(json) ? read(json).map((result) => [keyOf(result), result]) : [])

  return {
    onTestCaseAnnotate: ({ project }, { message, type }) => {
      if (type === 'progress') project.vitest.logger.log(`  ${new Date().toISOString().slice(11, 19)} ${message}`)
    },
    onTestCaseResult: (test) => {
      const { fault } = test.meta()
      if (fault === undefined) return
      const result = resultOf(fault, test)
      results.set(keyOf(result), result)
      const rows = [...results.values()].sort((a, b) => a.row - b.row || a.fault.localeCompare(b.fault))
      writeFileSync(json, `${JSON.stringify(rows, undefined, 2)}\n`)
      writeFileSync(join(folder, 'faults.md'), page(rows))
    },
  }
}

export interface FaultResult extends FaultRecord {
  readonly passed: boolean
  readonly failure?: string
  readonly tookSeconds: number
  readonly date: string
  readonly commit: string
  readonly machine: string
}

const keyOf = ({ row, fault }: FaultRecord): string => `${row} ${fault}`

const read = (file: string): FaultResult[] => JSON.parse(readFileSync(file, 'utf8'))

const resultOf = (fault: FaultRecord, test: TestCase): FaultResult => {
  const { state, errors = [] } = test.result()
  const failure = errors[0] === undefined ? undefined : told(errors[0].message)
  return {
    ...fault,
    passed: state === 'passed',
    ...(failure === undefined ? {} : { failure }),
    tookSeconds: Math.round((test.diagnostic()?.duration ?? 0) / 1_000),
    date: new Date().toISOString().slice(0, 16),
    commit: commit(),
    machine: machine(),
  }
}

/** The line of an error that says most: what was expected stands behind whatever output is shown with it. */
const told = (message: string): string => {
  const lines = stripVTControlCharacters(message).split('\n')
  return (lines.find((line) => line.includes('expected ')) ?? lines[0] ?? '').slice(0, 200)
}

const commit = (): string => {
  const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim()
  try {
    const changed = git('status', '--porcelain', '--', ':!docs/faults.*') !== ''
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? ' and changes' : ''}`
  } catch {
    return 'not known'
  }
}

const machine = (): string => {
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${memory} GB, ${osName()}, Node ${process.version}`
}

const osName = (): string => {
  const file = '/etc/os-release'
  const name = existsSync(file) ? /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync(file, 'utf8'))?.[1] : undefined
  return name ?? version()
}

export const page = (results: readonly FaultResult[]): string => {
  const machines = [...new Set(results.map((result) => result.machine))]
  const letter = (name: string): string => String.fromCharCode(65 + machines.indexOf(name))
  const lines = results.map((result) =>
    [
      result.row,
      result.fault,
      result.expected,
      Object.entries(result.measured)
        .map(([name, value]) => `${name} ${typeof value === 'number' ? value.toLocaleString('en') : value}`)
        .join(', '),
      result.passed ? 'passed' : `**failed**: ${result.failure ?? 'no reason told'}`,
      `${result.tookSeconds} s`,
      `${result.date}, ${result.commit}${machines.length > 1 ? `, ${letter(result.machine)}` : ''}`,
    ]
      .map((cell) => String(cell).replaceAll('|', '\\|'))
      .join(' | '),
  )
  return `# Faults

What happened to the controller under each fault, as \`npm run test:faults\` measured it. It writes this page and
\`faults.json\`; \`npm run test:faults -- -t 'row 4:'\` runs one row again and leaves the others as they are. A row that is
missing here was not run at its full figures yet.

${machines.map((name) => `- ${machines.length > 1 ? `${letter(name)}: ` : ''}${name}`).join('\n')}

| # | fault | expected | measured | result | took | date (UTC), commit |
|---|---|---|---|---|---|---|
${lines.map((line) => `| ${line} |`).join('\n')}
`
}
