import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freeze } from './freeze.ts'
import type { Ward } from './guardian.ts'

/** A temporary folder and the processes that live for it. All are gone when this process is, whatever happens to it. */
export interface Guarded {
  readonly folder: string
  /** Starts a process in a session and group of its own. */
  start(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Started
  watch(ward: Ward): void
  /** Ends the processes and removes the folder. Legal twice. */
  end(): Promise<void>
}

export interface Started {
  readonly pid: number
  /** The end of what it has said so far. */
  said(): string
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>
  alive(): boolean
  signal(name: NodeJS.Signals): void
  /** SIGSTOP; resolves when it stands still. */
  freeze(): Promise<void>
}

export const guarded = (name: string): Guarded => {
  const folder = mkdtempSync(join(tmpdir(), `koksmat-${name}-`))
  chmodSync(folder, 0o755)
  const guardian = startGuardian(folder)
  const children: Started[] = []

  return {
    folder,
    watch: guardian.watch,
    start: (command, args, env) => {
      const child = spawn(command, args, { cwd: folder, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
      if (child.pid !== undefined) guardian.watch({ pid: child.pid, group: true, signal: 'SIGKILL' })
      const started = startedFrom(child)
      children.push(started)
      return started
    },
    end: async () => {
      await guardian.end()
      await Promise.all(children.map((child) => child.gone))
    },
  }
}

/** Starts the process that keeps the promise. `guardian.ts` tells how. */
export const startGuardian = (folder?: string): Pick<Guarded, 'watch' | 'end'> => {
  const program = join(import.meta.dirname, 'guardian.ts')
  const guardian = spawn(process.execPath, folder === undefined ? [program] : [program, folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const gone = once(guardian, 'exit')
  guardian.unref()
  return {
    watch: (ward) => void guardian.stdin.write(`${JSON.stringify(ward)}\n`),
    end: async () => {
      guardian.ref()
      guardian.stdin.end()
      await gone
    },
  }
}

const startedFrom = (child: ChildProcess): Started => {
  let said = ''
  const hear = (text: string) => {
    said = (said + text).slice(-8_000)
  }
  child.stdout?.setEncoding('utf8').on('data', hear)
  child.stderr?.setEncoding('utf8').on('data', hear)
  let alive = child.pid !== undefined
  const gone = new Promise<void>((resolve) => {
    child.once('close', resolve)
    child.once('error', (error) => hear(error.message))
  })
  child.once('exit', () => {
    alive = false
  })
  return {
    pid: child.pid ?? 0,
    said: () => said,
    gone,
    alive: () => alive,
    signal: (name) => {
      if (alive && child.pid !== undefined) process.kill(-child.pid, name)
    },
    freeze: async () => {
      if (alive && child.pid !== undefined) await freeze(-child.pid)
    },
  }
}
