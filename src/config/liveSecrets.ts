import type { SignatureScheme, Verdict } from '../../actors/webhook/signatures.ts'
import { ControllerError } from '../../machines/errors.ts'

/**
 * The secrets of one webhook while it runs. Each has a scheme of its own behind one door: a request is good when it is
 * good for any of them, so secrets come and go without a gap, and it is known which of them a sender used last.
 *
 * A secret goes by its number and by where it came from; nothing here gives its value away.
 */
export interface LiveSecrets {
  list(): readonly LiveSecret[]
  /**
   * From the environment and its files, as at a start: what stands there now is live, what stood there before is not.
   * What was added stays.
   * @throws ControllerError COMMAND_REFUSED, COMMAND_INVALID; nothing is changed then
   */
  readAgain(): void
  /** @throws ControllerError COMMAND_INVALID when it does not fit the scheme */
  add(value: string): void
  /** @throws ControllerError COMMAND_INVALID for an unknown number, COMMAND_REFUSED for the last one */
  retire(id: number): void
}

export interface LiveSecret {
  readonly id: number
  /** The variable it was read from, `configuration`, or `operator`. */
  readonly from: string
  readonly since: string
  /** When a request was last proved with it; in this process. */
  readonly lastUsed?: string
}

export interface ReadSecret {
  readonly value: string
  readonly from: string
}

export interface LiveSignature {
  readonly scheme: SignatureScheme
  /** Absent: unsigned. */
  readonly secrets?: LiveSecrets
}

type Build = (secrets: readonly string[]) => SignatureScheme

interface Entry extends ReadSecret {
  readonly id: number
  readonly since: Date
  readonly scheme: SignatureScheme
  lastUsed: Date | undefined
}

const byOperator = 'operator'

export const liveSignature = (build: Build, read: () => readonly ReadSecret[]): Required<LiveSignature> => {
  let ids = 0
  const entryOf = (secret: ReadSecret): Entry => {
    const scheme = fitting(build, secret)
    return { ...secret, id: ++ids, since: new Date(), scheme, lastUsed: undefined }
  }
  let entries: readonly Entry[] = read().map(entryOf)
  const [first] = entries

  const verify: SignatureScheme['verify'] = (headers, rawBody, nowSeconds) => {
    let refusal: Verdict = { ok: false, reason: 'forged' }
    for (const entry of entries) {
      const verdict = entry.scheme.verify(headers, rawBody, nowSeconds)
      if (verdict.ok) {
        entry.lastUsed = new Date()
        return verdict
      }
      refusal = verdict
      if (verdict.reason !== 'forged') break
    }
    return refusal
  }

  const sign = entries.find(({ scheme }) => scheme.sign !== undefined)?.scheme.sign
  return {
    scheme: {
      ...(first as Entry).scheme,
      verify,
      ...(sign === undefined ? {} : { sign }),
    },
    secrets: {
      list: () =>
        entries.map(({ id, from, since, lastUsed }) => ({
          id,
          from,
          since: since.toISOString(),
          ...(lastUsed === undefined ? {} : { lastUsed: lastUsed.toISOString() }),
        })),
      readAgain: () => {
        const known = entries.filter(({ from }) => from !== byOperator)
        const now = read().map((secret) => known.find((entry) => isSame(entry, secret)) ?? entryOf(secret))
        entries = [...now, ...entries.filter(({ from }) => from === byOperator)]
      },
      add: (value) => {
        if (entries.some((entry) => entry.value === value)) return
        entries = [...entries, entryOf({ value, from: byOperator })]
      },
      retire: (id) => {
        const left = entries.filter((entry) => entry.id !== id)
        if (left.length === entries.length)
          throw new ControllerError('COMMAND_INVALID', `There is no live secret ${id}.`)
        if (left.length === 0) {
          throw new ControllerError('COMMAND_REFUSED', 'It is the last one: add another first, or nobody gets in.')
        }
        entries = left
      },
    },
  }
}

const isSame = (entry: Entry, { value, from }: ReadSecret): boolean => entry.value === value && entry.from === from

const fitting = (build: Build, { value, from }: ReadSecret): SignatureScheme => {
  try {
    return build([value])
  } catch (thrown) {
    if (!(thrown instanceof ControllerError)) throw thrown
    throw new ControllerError('COMMAND_INVALID', `The secret of ${from} does not fit: ${thrown.message}`)
  }
}
