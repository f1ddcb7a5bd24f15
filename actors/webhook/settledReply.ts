import type { Answer } from '../../machines/driver.ts'
import { ControllerError, errorCodes } from '../../machines/errors.ts'
import { json, problem, type Reply, unreadable } from './replies.ts'

/**
 * What a sender who waited for the handler is told. 2xx wherever the event is safe: a sender that gets an error sends
 * again, which is only right where the event has failed for good.
 */
export const settledReply = (id: string, answer: Answer): Reply => {
  switch (answer.status) {
    case 'done':
      return valueReply(answer.value)
    case 'ignored':
      return json(200, { id, status: 'ignored' })
    case 'duplicate':
      return json(200, { id, duplicate: true })
    case 'retrying':
      return json(202, { id, status: 'retrying' })
    case 'released':
      return json(202, { id, status: 'accepted' })
    case 'parked':
      return isSendersFault(answer.error) ? unreadable(answer.error) : failed()
  }
}

const valueReply = (value: unknown): Reply => {
  try {
    return json(200, JSON.stringify(value) === undefined ? null : value)
  } catch (cause) {
    throw new ControllerError('HANDLER_FAILED', 'The handler returned a value that JSON cannot say.', { cause })
  }
}

const isSendersFault = (error: ControllerError | undefined): error is ControllerError =>
  error !== undefined && ['EVENT_INVALID', 'EVENT_MALFORMED', 'EVENT_TOO_LARGE'].includes(error.code)

/** The handler's own words stay inside. */
const failed = (): Reply => problem(500, 'handler', { code: 'HANDLER_FAILED', detail: errorCodes.HANDLER_FAILED })
