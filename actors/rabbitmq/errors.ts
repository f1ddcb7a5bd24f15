import { ControllerError, type ErrorCode } from '../../machines/errors.ts'

/**
 * What the library or the broker said, as an error of ours. The broker's codes are those of HTTP, more or less: 406 is a
 * queue unlike its declaration while connecting, and later a delivery that waited too long for its ack.
 */
export const rabbitmqError = (thrown: unknown, code: ErrorCode): ControllerError => {
  if (thrown instanceof ControllerError) return thrown
  const reason = reasonOf(thrown)
  const cause = { cause: thrown }
  const told = codeOf(thrown)
  if (told === 404) {
    const right = 'Create the queue, or let `declare` do it.'
    return new ControllerError('SOURCE_NOT_FOUND', `RabbitMQ: ${reason}. ${right}`, cause)
  }
  if (told === 406 && code === 'SOURCE_CONNECT_FAILED') {
    const right = 'Correct `declare`, or leave it out and the queue is taken as it is.'
    return new ControllerError('SOURCE_UNUSABLE', `RabbitMQ: ${reason}. ${right}`, cause)
  }
  return new ControllerError(code, `RabbitMQ: ${reason}.`, cause)
}

const codeOf = (thrown: unknown): unknown =>
  typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined

/** An address with several hosts behind it fails with one error for each, and no message of its own. */
const reasonOf = (thrown: unknown): string => {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return reasonOf(thrown.errors.at(-1))
  return thrown instanceof Error ? thrown.message : String(thrown)
}
