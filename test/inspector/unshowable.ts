/** Cycles, a big number, a megabyte, a getter that throws, and a depth at which recursion ends. */
export const unshowable = (): Record<string, unknown> => {
  let deep: unknown = {}
  for (let i = 0; i < 50_000; i++) deep = { deep }
  const value: Record<string, unknown> = { big: 10n ** 30n, megabyte: 'x'.repeat(1_048_576), deep }
  value['self'] = value
  Object.defineProperty(value, 'thrower', {
    enumerable: true,
    get: () => {
      throw new Error('not now')
    },
  })
  return value
}
