/**
 * How many messages each viewer may still get in this batch. Decided while things happen, so that what is left out costs
 * nothing more; failures have a quota ten times as large.
 */
export interface Quota {
  /** Of the viewers in `mask` those that get it. */
  take(mask: number, failed: boolean): number
  /** It was taken and does not go out after all. */
  leaveOut(mask: number): void
  /** Left out for one viewer in this batch. */
  leftOut(slot: number): number
  renew(): void
}

const failuresMore = 10

export const createQuota = (viewers: number, most: number): Quota => {
  const taken = new Uint32Array(viewers)
  const failures = new Uint32Array(viewers)
  const left = new Uint32Array(viewers)
  return {
    take: (mask, failed) => {
      if (mask === 0) return 0
      const counts = failed ? failures : taken
      const limit = failed ? most * failuresMore : most
      let given = 0
      for (let slot = 0, bit = 1; slot < viewers; slot++, bit <<= 1) {
        if ((mask & bit) === 0) continue
        if ((counts[slot] as number) < limit) {
          counts[slot] = (counts[slot] as number) + 1
          given |= bit
        } else left[slot] = (left[slot] as number) + 1
      }
      return given
    },
    leaveOut: (mask) => {
      for (let slot = 0; slot < viewers; slot++) {
        if ((mask & (1 << slot)) !== 0) left[slot] = (left[slot] as number) + 1
      }
    },
    leftOut: (slot) => left[slot] ?? 0,
    renew: () => {
      taken.fill(0)
      failures.fill(0)
      left.fill(0)
    },
  }
}
