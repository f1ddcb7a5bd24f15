import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { injectedAs, type NeedKind, needKinds, type ServerKind, serverKinds, startedBy } from './serverKinds.ts'

/** The servers a test file uses, and whether it uses a browser. */
export interface Needs {
  /** Those it shares with the others: it says `inject('…')`. */
  readonly shared: ReadonlySet<ServerKind>
  /** Those it starts for itself, with `startPostgresServer()`, `startChromium()` and the like. */
  readonly own: ReadonlySet<NeedKind>
}

/** Read from the text of the file and of what it imports from the folder `test`. */
export const needsOf = (file: string): Needs => {
  const text = [...textsBelow(file, new Set())].join('\n')
  return {
    shared: new Set(serverKinds.filter((kind) => text.includes(`inject('${injectedAs[kind]}')`))),
    own: new Set(needKinds.filter((kind) => text.includes(`${startedBy[kind]}(`))),
  }
}

/** Where a file of this folder names a server it describes one; it uses none. */
const support = import.meta.dirname
const tests = dirname(support)

function* textsBelow(file: string, seen: Set<string>): Generator<string> {
  if (seen.has(file) || !existsSync(file)) return
  seen.add(file)
  const text = readFileSync(file, 'utf8')
  yield text
  for (const [, path = ''] of text.matchAll(/ from '(\.[^']+)'/g)) {
    const imported = resolve(dirname(file), path)
    if (imported.startsWith(tests) && dirname(imported) !== support) yield* textsBelow(imported, seen)
  }
}
