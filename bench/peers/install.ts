import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * The other products have a lock file of their own: whoever uses or builds this one never gets them. Hence they are
 * loaded by name at run time, and each peer says what of them it uses.
 */
const folder = import.meta.dirname

export const installPeers = (): void => {
  if (existsSync(join(folder, 'node_modules'))) return
  process.stderr.write('peers: npm ci in bench/peers (103 packages, 45 MB) …\n')
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error(`npm ci in bench/peers failed (${status}).`)
}

/** `Module`: the part of it that the peer uses. */
export const loadPeer = async <Module>(name: string): Promise<Module> =>
  import(pathToFileURL(createRequire(join(folder, 'package.json')).resolve(name)).href)
