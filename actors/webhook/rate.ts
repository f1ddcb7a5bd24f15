export interface Rate {
  readonly perSecond: number
  /** Requests at once after a quiet time. */
  readonly burst: number
}

/** A token bucket. Takes a token and answers 0, or takes none and answers how many seconds until there is one. */
export const createTokenBucket = ({ perSecond, burst }: Rate): ((nowMs: number) => number) => {
  let tokens = burst
  let filledAt = Number.NEGATIVE_INFINITY
  return (nowMs) => {
    tokens = Math.min(burst, tokens + (Math.max(0, nowMs - filledAt) / 1_000) * perSecond)
    filledAt = nowMs
    if (tokens < 1) return (1 - tokens) / perSecond
    tokens -= 1
    return 0
  }
}
