import type { ParkedFilter } from '../../machines/journal.ts'

/**
 * What an operator may want of a running controller, over `POST /control`, the inspector's page or the command line.
 * Each becomes one typed event through the root, and one audit line.
 */
export type Command =
  | { readonly name: 'pause' | 'resume'; readonly source: string }
  /** How much may be in flight; what is left out stays as it is. */
  | { readonly name: 'credit'; readonly source: string; readonly events?: number; readonly bytes?: number }
  | { readonly name: 'drain' }
  /** What is not parked any more is passed over, so that the same command twice does it once. */
  | { readonly name: 'redrive' | 'drop'; readonly filter: ParkedFilter }
  /** Replaces the payload of a parked event and makes it ready, in one step. */
  | { readonly name: 'editAndRedrive'; readonly seq: string; readonly data: unknown }
  /** Gives back what waits for a lock in this process: one event of a source, or all. */
  | { readonly name: 'releaseWaiter'; readonly lock: string; readonly source?: string; readonly event?: string }
  | { readonly name: 'logLevel'; readonly level: LogLevel }
  /** Reads a webhook's secrets again from where they stand; or adds one, or retires the one of that number. */
  | { readonly name: 'rotateSecret'; readonly source: string; readonly add?: string; readonly retire?: number }

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export type LogLevel = (typeof logLevels)[number]

/** Who gave a command, for the audit line. */
export interface Who {
  /** The way it came. */
  readonly by: 'admin' | 'inspector'
  readonly address: string
  /** Names a session of the inspector. */
  readonly session?: string
}

/** How much was done. Never a payload or a secret: it is logged. */
export type Facts = Readonly<Record<string, unknown>>

/**
 * The word that a person has to type for this command, or undefined. What cannot be taken back, or may hit many, wants
 * one.
 */
export const confirmationOf = (command: Command): string | undefined => {
  if (command.name === 'drain') return command.name
  if (command.name !== 'redrive' && command.name !== 'drop') return undefined
  return command.filter.seqs === undefined ? command.name : undefined
}
