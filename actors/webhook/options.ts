import type { WebhookRequestFacts } from './arrival.ts'
import type { Rate } from './rate.ts'
import type { SignatureScheme } from './signatures.ts'

/** A webhook source, every default in place. */
export interface WebhookOptions {
  /** Exact, e.g. `/hooks/github`. */
  readonly path: string
  readonly method: 'POST' | 'PUT'
  readonly signature: SignatureScheme
  /** The type of events that are not CloudEvents. */
  readonly type: string | ((request: WebhookRequestFacts) => string)
  /** `accepted`: 202 as soon as the event is durable. `settled`: then wait for the handler and answer with its result. */
  readonly reply: 'accepted' | 'settled'
  /** Default 1 MiB. */
  readonly maxBodyBytes: number
  /** For a body to arrive, and for a settled reply to be waited for (default 10 s). */
  readonly timeoutMs: number
  readonly rate?: Rate
  /** The header with the id of the event, for senders whose signature scheme has none. */
  readonly id?: string
}
