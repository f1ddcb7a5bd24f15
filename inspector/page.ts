import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, renameSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

/**
 * Where the built page lies. In the package it is beside this file. In the repository it is built when somebody first
 * asks for it, in a process of its own, and kept until one of its files changes.
 */
export interface PageFiles {
  /** A folder with `index.html`. @throws when there is none and it cannot be built */
  folder(): Promise<string>
  close(): void
}

const here = import.meta.dirname

export const createPageFiles = (): PageFiles => {
  const fromSource = import.meta.filename.endsWith('.ts')
  let building: { readonly folder: Promise<string>; readonly child: ChildProcess } | undefined

  const build = (folder: string): Promise<string> => {
    if (building !== undefined) return building.folder
    // Beside it first: another process may be building the same.
    const beside = `${folder}.${process.pid}`
    const args = [viteCommand(), 'build', join(here, 'ui'), '--outDir', beside, '--emptyOutDir']
    const env = { NODE_ENV: 'production' }
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
    const said: Buffer[] = []
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk))
    const done = new Promise<string>((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', (code) => {
        if (code !== 0)
          reject(new Error(`The page could not be built: ${Buffer.concat(said).toString().slice(0, 2_000)}`))
        else resolve(moved(beside, folder))
      })
    })
    const ended = (): void => {
      building = undefined
    }
    done.then(ended, ended)
    building = { folder: done, child }
    return done
  }

  return {
    folder: async () => {
      const shipped = join(here, 'ui')
      if (!fromSource) {
        if (!existsSync(join(shipped, 'index.html'))) throw new Error('The package holds no page.')
        return shipped
      }
      const folder = join(here, '..', 'node_modules', '.cache', 'koksmat-controller', `inspector-${stateOfSources()}`)
      return existsSync(join(folder, 'index.html')) ? folder : build(folder)
    },
    close: () => void building?.child.kill(),
  }
}

const moved = (from: string, to: string): string => {
  try {
    renameSync(from, to)
  } catch (thrown) {
    if (!existsSync(to)) throw thrown
    rmSync(from, { recursive: true, force: true })
  }
  return to
}

/** Changes when a file of the page changes. */
const stateOfSources = (): string => {
  const hash = createHash('sha256')
  for (const file of globSync(['ui/**/*.*', 'protocol.ts', 'protocol/*.ts'], { cwd: here }).sort()) {
    const { mtimeMs, size } = statSync(join(here, file))
    hash.update(`${file} ${mtimeMs} ${size}\n`)
  }
  return hash.digest('hex').slice(0, 16)
}

const viteCommand = (): string => {
  const require = createRequire(import.meta.url)
  return join(require.resolve('vite/package.json'), '..', 'bin', 'vite.js')
}
