import type { ResolvedHandler } from '../config/resolved.ts'

/** The handler of a type: the exact rule, else the longest prefix (`order.*`), else `*`. */
export const createRouter = (handlers: readonly ResolvedHandler[]): ((type: string) => ResolvedHandler | undefined) => {
  const exact = new Map<string, ResolvedHandler>()
  const prefixes: { prefix: string; handler: ResolvedHandler }[] = []
  for (const handler of handlers) {
    if (handler.type === '*') prefixes.push({ prefix: '', handler })
    else if (handler.type.endsWith('.*')) prefixes.push({ prefix: handler.type.slice(0, -1), handler })
    else exact.set(handler.type, handler)
  }
  prefixes.sort((a, b) => b.prefix.length - a.prefix.length)
  return (type) => exact.get(type) ?? prefixes.find(({ prefix }) => type.startsWith(prefix))?.handler
}
