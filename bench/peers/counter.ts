/** Resolves `reached` with the last of so many calls of `one`. */
export const countdown = (events: number): { one(): void; readonly reached: Promise<undefined> } => {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  let left = events
  return {
    one: () => {
      left--
      if (left === 0) resolve(undefined)
    },
    reached: promise,
  }
}
