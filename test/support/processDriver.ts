import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { startGuardian } from './guarded.ts'
import { searchForSecrets } from './leakedSecrets.ts'
import { until } from './until.ts'

/** A real Node process under the hand of a test. It is never left behind: `await using` or `end` kills it, and a guardian when the test run dies. */
export interface DrivenProcess extends AsyncDisposable {
  readonly pid: number
  /** All it has written so far, stdout and stderr as they came. */
  output(): string
  /** The lines of its output that are JSON objects: its log. */
  log(): readonly Readonly<Record<string, unknown>>[]
  /** Waits until the output matches; fails at once when the process ends without. */
  says(pattern: RegExp, ms?: number): Promise<RegExpExecArray>
  /** What somebody types; asks for `stdin: true`. */
  write(text: string): void
  /** To the process itself; with `group: true` to its whole group, as Ctrl-C in a terminal does. */
  signal(name: NodeJS.Signals, options?: { readonly group?: boolean }): void
  /** Resolves when it has ended and its output is complete. */
  readonly exit: Promise<Exit>
  /** Kills the group if it still runs, and waits for the exit. Legal twice. */
  end(): Promise<Exit>
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ProcessOptions {
  readonly cwd?: string
  /** Added to the environment of the test; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Instead of the Node that runs the tests. */
  readonly command?: string
  /** Keeps its stdin open, for `write`. */
  readonly stdin?: boolean
}

let guardian: ReturnType<typeof startGuardian> | undefined

/** Starts `node ...args`, in a process group of its own. */
export const startProcess = (args: readonly string[], options: ProcessOptions = {}): DrivenProcess => {
  const env = { ...process.env, FORCE_COLOR: undefined, NODE_ENV: undefined, VITEST: undefined, ...options.env }
  const child = spawn(options.command ?? process.execPath, args, {
    cwd: options.cwd,
    env,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const { pid } = child
  // It may end before it has read all.
  child.stdin.on('error', () => undefined)
  if (options.stdin !== true) child.stdin.end()
  if (pid === undefined) throw new Error(`${options.command ?? 'node'} could not be started`)
  guardian ??= startGuardian()
  guardian.watch({ pid, group: true, signal: 'SIGKILL' })
  let output = ''
  let ended: Exit | undefined
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  const exit = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      ended = { code, signal }
      for (const text of [output, ...dumpsIn(output)]) searchForSecrets(env, text)
      resolve(ended)
    })
  })

  const says = async (pattern: RegExp, ms = 30_000): Promise<RegExpExecArray> => {
    await until(() => pattern.exec(output) ?? ended, ms).catch((cause) => {
      throw new Error(`The process did not say ${pattern} within ${ms} ms. Its output:\n${output}`, { cause })
    })
    const match = pattern.exec(output)
    if (match !== null) return match
    throw new Error(
      `The process ended (${ended?.code ?? ended?.signal}) without saying ${pattern}. Its output:\n${output}`,
    )
  }
  const end = async (): Promise<Exit> => {
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // The whole group is gone.
    }
    return exit
  }
  return {
    pid,
    output: () => output,
    log: () => output.split('\n').flatMap(asObject),
    says,
    write: (text) => void child.stdin.write(text),
    signal: (name, { group = false } = {}) => void process.kill(group ? -pid : pid, name),
    exit,
    end,
    [Symbol.asyncDispose]: async () => void (await end()),
  }
}

/** What its flight recorder has written, as far as it is still there. */
const dumpsIn = (output: string): readonly string[] =>
  output.split('\n').flatMap((line) => {
    const file = asObject(line)[0]?.['file']
    return line.includes('flight recorded') && typeof file === 'string' && existsSync(file)
      ? [readFileSync(file, 'utf8')]
      : []
  })

const asObject = (line: string): readonly Readonly<Record<string, unknown>>[] => {
  if (!line.startsWith('{')) return []
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}
