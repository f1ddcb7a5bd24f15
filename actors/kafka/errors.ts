import { ControllerError, type ErrorCode } from '../../machines/errors.ts'

/**
 * What the library threw, as an error of ours. It wraps its errors in layers ("metadata failed 6 times."); the message
 * for people is the innermost one.
 */
export const kafkaError = (thrown: unknown, code: ErrorCode): ControllerError => {
  if (thrown instanceof ControllerError) return thrown
  const reason = innermost(thrown)
  if (/unknown topic|UNKNOWN_TOPIC/i.test(reason)) {
    return new ControllerError('SOURCE_NOT_FOUND', `Kafka: ${reason} Create the topic, or correct "topics".`, {
      cause: thrown,
    })
  }
  return new ControllerError(code, `Kafka: ${reason}`, { cause: thrown })
}

const innermost = (thrown: unknown): string => {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return innermost(thrown.errors.at(-1))
  if (!(thrown instanceof Error)) return String(thrown)
  return thrown.cause instanceof Error ? innermost(thrown.cause) : thrown.message
}
