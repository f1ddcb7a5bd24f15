import type { HostStatus } from './protocol/controller.ts'
import type { ParkedEventView, ParkedFilter, ParkedList } from './protocol/parked.ts'
import type { ControlCommand } from './protocol.ts'

/**
 * What the service around the inspected actors contributes, and does when it is told. The inspector knows nothing of
 * it but this; `src/` implements it. Everything may reject: the viewer is told, nothing else happens.
 */
export interface InspectorHost {
  /** Asked for once a second while somebody watches, and at each `hello`; answers within a second or is left out. */
  status(): Promise<HostStatus>
  /** The commands `control` takes, for the page to know which buttons to show. */
  readonly commands: readonly ControlCommand['name'][]
  /**
   * Does it, through the control channel. `who` has been found to be allowed to, `confirm` has been checked. The host
   * writes the audit line.
   * @returns the `result` of the ack
   * @throws HostError; anything else becomes `FAILED`
   */
  control(command: ControlCommand, who: Who): Promise<unknown>
  /**
   * Takes an event that somebody made by hand for one of the actors. Absent: it is sent to the actor as it is.
   * @throws HostError
   */
  send?(actorId: string, event: { readonly type: string; readonly [key: string]: unknown }, who: Who): Promise<void>
  parked(filter: ParkedFilter): Promise<ParkedList>
  /** Unredacted: the inspector redacts. `undefined` when it is not parked any more. */
  parkedEvent(seq: string): Promise<ParkedEvent | undefined>
}

export type ParkedEvent = Omit<ParkedEventView, 'redacted' | 'event'> & { readonly event: unknown }

/** Who gave a command, for the audit line. */
export interface Who {
  /** How it came: over the page's socket. */
  readonly by: 'inspector'
  readonly address: string
  /** Names the session without being usable as one; empty where no token is configured. */
  readonly session: string
}

/** A command that was understood and not done. */
export class HostError extends Error {
  readonly code: 'REFUSED' | 'UNSUPPORTED' | 'UNAVAILABLE' | 'NO_EVENT'

  constructor(code: HostError['code'], message: string) {
    super(message)
    this.code = code
  }
}
