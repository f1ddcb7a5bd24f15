/** Named locks, first come first served. What holds one, or waits for one, is a token of its own. */
export interface Locks {
  /** Calls `granted` when the lock is this token's. */
  ask(lock: string, token: object, granted: () => void): void
  /** Gives a lock back, or waits for it no longer. */
  leave(lock: string, token: object): void
}

export const createLocks = (): Locks => {
  const lines = new Map<string, { readonly token: object; readonly granted: () => void }[]>()
  return {
    ask: (lock, token, granted) => {
      const line = lines.get(lock) ?? []
      lines.set(lock, line)
      line.push({ token, granted })
      if (line.length === 1) granted()
    },
    leave: (lock, token) => {
      const line = lines.get(lock) ?? []
      const place = line.findIndex((each) => each.token === token)
      if (place < 0) return
      line.splice(place, 1)
      if (line.length === 0) lines.delete(lock)
      else if (place === 0) line[0]?.granted()
    },
  }
}
