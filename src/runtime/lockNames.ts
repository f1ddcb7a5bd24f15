import type { ResolvedConfig } from '../config/resolved.ts'

/** The locks of a configuration, each once. */
export const lockNames = ({ handlers }: ResolvedConfig): readonly string[] => [
  ...new Set(handlers.flatMap(({ lock }) => (lock === undefined ? [] : [lock]))),
]
