import type { Json } from './actors.ts'

export interface ParkedFilter {
  /** Journal numbers, as strings. */
  readonly seqs?: readonly string[]
  readonly source?: string
  readonly type?: string
  /** Code of the last error. */
  readonly code?: string
  /** RFC 3339: nothing that was parked later, so that what failed again since somebody looked is left alone. */
  readonly parkedUntil?: string
  /** At most 1,000, which is also the default for commands; 100 for lists. */
  readonly limit?: number
}

export interface ParkedList {
  readonly events: readonly ParkedView[]
  /** Parked by source, over all replicas, whatever the filter. */
  readonly counts: Readonly<Record<string, number>>
}

export interface ParkedView {
  readonly seq: string
  readonly id: string
  readonly type: string
  /** Name of the source that brought it. */
  readonly via: string
  readonly attempts: number
  /** ISO. */
  readonly parkedAt: string
  readonly error: { readonly code: string; readonly message: string }
}

export interface ParkedEventView extends ParkedView {
  /** The CloudEvents envelope with `data`, redacted. */
  readonly event: Json
  /** Whether something of `event` was redacted: editing it would lose that, so the page says so. */
  readonly redacted: boolean
  readonly history: readonly {
    readonly attempt: number
    readonly at: string
    readonly codeVersion: string
    readonly error: { readonly code: string; readonly name: string; readonly message: string; readonly stack?: string }
  }[]
  /** Size in bytes of a payload that could not be read; it is in `/events/SEQ` of the admin port. */
  readonly rawBytes?: number
}
