import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

interface Package {
  readonly name?: string
  readonly version?: string
  readonly type?: string
}

/** What the nearest package.json at or above a folder says; undefined where there is none that can be read. */
export const nearestPackage = (folder: string): Package | undefined => {
  try {
    const { name, version, type } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
      string,
      unknown
    >
    return {
      ...(typeof name === 'string' ? { name } : {}),
      ...(typeof version === 'string' ? { version } : {}),
      ...(typeof type === 'string' ? { type } : {}),
    }
  } catch {
    const parent = dirname(folder)
    return parent === folder ? undefined : nearestPackage(parent)
  }
}

/** The version of this package; it stands at another depth in `src` than in `dist`, hence the search. */
export const version: string = nearestPackage(import.meta.dirname)?.version ?? '0.0.0'
