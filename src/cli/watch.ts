import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, watch } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ControllerError } from '../../machines/errors.ts'
import { resolveDeployment } from '../config/deployment.ts'
import { createEnvironment, processEnvironment } from '../config/environment.ts'
import { type ControllerLog, createLog } from '../log.ts'
import { listenForSignals } from '../signals.ts'

/**
 * `start --watch`: the controller as a child, drained and started again when a file in the folder of its configuration
 * changes. A child that ends by itself with an error, a broken configuration for one, is started again at the next change.
 *
 * Node's own `--watch` kills; what was in flight would come again. Resolves with the exit code of the last child.
 */
export const watchAndRestart = async (path: string | undefined): Promise<number> => {
  const folder = path === undefined ? process.cwd() : dirname(resolve(path))
  if (!existsSync(folder)) throw new ControllerError('CONFIG_NOT_FOUND', `There is no folder ${folder}.`)
  const deployment = resolveDeployment(createEnvironment(processEnvironment()), process.stdout.isTTY === true)
  const log = createLog(deployment.value.log).child({ actor: 'watch' })

  const changes = watchFolder(folder, log)
  const told = Promise.withResolvers<undefined>()
  let child: ChildProcess | undefined
  const signals = listenForSignals(
    {
      drain: () => {
        told.resolve(undefined)
        child?.kill('SIGTERM')
      },
      // Ctrl-C reaches the child from the terminal too; passed on as well, the second one would count as the third.
      abort: (reason) => void (reason === 'SIGTERM' && child?.kill('SIGTERM')),
    },
    log,
  )

  let ending = false
  void told.promise.then(() => {
    ending = true
  })
  const run = async (): Promise<number> => {
    for (;;) {
      changes.forget()
      child = startChild(path)
      const exit = exitOf(child)
      const early = await Promise.race([exit, changes.next(), told.promise])
      if (early === 0 || ending) return exit
      if (early === undefined) {
        log.info({ folder }, 'files changed; restarting')
        child.kill('SIGTERM')
        await exit
      } else {
        log.warn({ exitCode: early }, 'controller ended; waiting for a change')
        await Promise.race([changes.next(), told.promise])
      }
      if (ending) return exit
    }
  }
  try {
    return await Promise.race([run(), signals.forced])
  } finally {
    child?.kill('SIGKILL')
    changes.close()
    signals.stop()
    log.flush()
  }
}

const startChild = (path: string | undefined): ChildProcess => {
  const program = process.argv[1] ?? ''
  const args = [...process.execArgv, program, 'start', ...(path === undefined ? [] : [path])]
  return spawn(process.execPath, args, { stdio: 'inherit' })
}

/** A child that a signal killed has failed. */
const exitOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)))

interface Changes {
  /** Resolves at the first change since `forget`, when the writing has calmed down. */
  next(): Promise<undefined>
  forget(): void
  close(): void
}

const calmMs = 100

const watchFolder = (folder: string, log: ControllerLog): Changes => {
  let change = Promise.withResolvers<undefined>()
  let calm: NodeJS.Timeout | undefined
  const watcher = watch(folder, { recursive: true, ignore: isIgnored }, (_event, name) => {
    // Node before 24.14 knows no `ignore` and tells of everything.
    if (name === null || isIgnored(name)) return
    clearTimeout(calm)
    calm = setTimeout(() => change.resolve(undefined), calmMs)
  })
  watcher.on('error', (error) => log.warn({ err: error }, 'watching failed; changes go unseen'))
  return {
    next: () => change.promise,
    forget: () => {
      clearTimeout(calm)
      change = Promise.withResolvers<undefined>()
    },
    close: () => {
      clearTimeout(calm)
      watcher.close()
    },
  }
}

/** Dependencies, and everything hidden: `.git`, `.koksmat`, the drafts of an editor. */
const isIgnored = (name: string): boolean =>
  name.split(/[\\/]/).some((part) => part === 'node_modules' || part.startsWith('.') || part.endsWith('~'))
