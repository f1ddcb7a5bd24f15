import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits for a fact: asks until the answer is truthy, and gives it. A fact that throws is not one yet.
 *
 * @throws after `ms` (default 10 s), with the last answer or error
 */
export const until = async <T>(fact: () => T | Promise<T>, ms = 10_000): Promise<NonNullable<T>> => {
  const deadline = Date.now() + ms
  for (;;) {
    let last: unknown
    try {
      const answer = await fact()
      if (answer) return answer
      last = answer
    } catch (thrown) {
      last = thrown
    }
    if (Date.now() > deadline) {
      const what = last instanceof Error ? last.message : JSON.stringify(last)
      throw new Error(`Not so within ${ms} ms: ${fact.toString().replaceAll(/\s+/g, ' ')} (last: ${what})`, {
        cause: last,
      })
    }
    await sleep(20)
  }
}
