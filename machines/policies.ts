/**
 * Waiting times and orders as pure functions: what they need of chance or clock is an argument.
 */
export interface BackoffPolicy {
  readonly minMs: number
  readonly maxMs: number
}

/**
 * Exponential with full jitter: uniform between 0 and `minMs × 2^(failures − 1)`, at most `maxMs`, but never below a
 * tenth of that bound, so that nothing ever becomes a hot loop. `jitter` is in [0, 1).
 *
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export const nextBackoffMs = (policy: BackoffPolicy, failures: number, jitter: number): number => {
  const bound = Math.min(policy.maxMs, policy.minMs * 2 ** Math.min(30, Math.max(0, failures - 1)))
  return Math.round(bound * (0.1 + 0.9 * jitter))
}

/**
 * Adaptive polling: `minMs` after a poll that found something, doubled with each empty one up to `maxMs`, each ± 10 % so
 * that replicas drift apart. `jitter` is in [0, 1).
 */
export const nextPollDelayMs = (policy: BackoffPolicy, emptyPolls: number, jitter: number): number => {
  const delay = Math.min(policy.maxMs, policy.minMs * 2 ** Math.min(30, emptyPolls))
  return Math.round(delay * (0.9 + 0.2 * jitter))
}
