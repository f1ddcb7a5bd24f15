import { readFileSync } from 'node:fs'

/** Variables as a process has them. */
export type Variables = Readonly<Record<string, string | undefined>>

/** The one place that reads `process.env`; everything else is handed what it returns. */
export const processEnvironment = (): Variables => process.env

export type Lookup =
  | { readonly value?: string; readonly problem?: undefined }
  | { readonly value?: undefined; readonly problem: string; readonly expected: string }

/**
 * Reads variables by name. An empty variable counts as unset: that is how compose files and CI pass on what they do not
 * have. A secret may stand in a file instead, whose path is in `<NAME>_FILE`; the line end after it is not part of it.
 */
export interface Environment {
  plain(name: string): string | undefined
  secret(name: string): Lookup
  /** Names that were asked for, with `_FILE` where it was looked at. */
  readonly asked: ReadonlySet<string>
}

export const createEnvironment = (variables: Variables, readFile: (path: string) => string = readText): Environment => {
  const asked = new Set<string>()
  const plain = (name: string): string | undefined => {
    asked.add(name)
    return variables[name] === '' ? undefined : variables[name]
  }
  return {
    plain,
    asked,
    secret: (name) => {
      const value = plain(name)
      const file = plain(`${name}_FILE`)
      if (file === undefined) return value === undefined ? {} : { value }
      if (value !== undefined) {
        return { problem: `both ${name} and ${name}_FILE are set`, expected: 'one of the two' }
      }
      try {
        const content = readFile(file).replace(/\r?\n$/, '')
        return content === ''
          ? { problem: `the file ${name}_FILE names is empty`, expected: 'a file with the value' }
          : { value: content }
      } catch (thrown) {
        const code = (thrown as { code?: unknown } | null)?.code
        return {
          problem: `the file ${name}_FILE names could not be read${typeof code === 'string' ? ` (${code})` : ''}`,
          expected: 'a file this process may read',
        }
      }
    },
  }
}

const readText = (path: string): string => readFileSync(path, 'utf8')
