import type { Delivery } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { ArrivedEvent } from '../../machines/event.ts'
import type { ResolvedHandler } from '../config/resolved.ts'
import type { StandardResult } from '../standardSchema.ts'
import type { Task } from './task.ts'

/** What becomes of a delivery before anything runs: a task for its handler, or the reason why there is none. */
export interface Admission {
  readonly task: Task
  readonly refusal?: ControllerError
}

/** Stands in where no handler is: such events are only parked. */
const nobody: ResolvedHandler = {
  type: '*',
  retry: { attempts: 1, inPlace: 0, backoffMs: 0, maxBackoffMs: 0 },
  long: false,
}

/**
 * Finds the handler, checks the payload, asks for the lane. A promise only where the schema is asynchronous.
 */
export const createAdmission = (handlerOf: (type: string) => ResolvedHandler | undefined) => {
  return (source: string, delivery: Delivery): Admission | Promise<Admission> => {
    const handler = handlerOf(delivery.event.type)
    const refused = (refusal: ControllerError): Admission => ({
      task: taskOf(source, delivery, delivery.event, handler ?? nobody),
      refusal,
    })
    if (delivery.defect !== undefined) return refused(delivery.defect.error)
    if (handler === undefined) return refused(unhandled(delivery.event.type))
    if (handler.schema === undefined) return accept(source, delivery, delivery.event, handler, refused)
    const checked = (result: StandardResult<unknown>): Admission =>
      result.issues === undefined
        ? accept(source, delivery, { ...delivery.event, data: result.value }, handler, refused)
        : refused(invalid(delivery.event.type, result))
    try {
      const result = handler.schema['~standard'].validate(delivery.event.data)
      return result instanceof Promise
        ? result.then(checked, (thrown: unknown) => refused(broken(thrown)))
        : checked(result)
    } catch (thrown) {
      return refused(broken(thrown))
    }
  }
}

const accept = (
  source: string,
  delivery: Delivery,
  event: ArrivedEvent,
  handler: ResolvedHandler,
  refused: (refusal: ControllerError) => Admission,
): Admission => {
  if (handler.key === undefined) return { task: taskOf(source, delivery, event, handler) }
  try {
    const key = handler.key(event as Parameters<typeof handler.key>[0])
    return { task: taskOf(source, delivery, event, handler, key) }
  } catch (thrown) {
    return refused(broken(thrown))
  }
}

const taskOf = (
  source: string,
  delivery: Delivery,
  event: ArrivedEvent,
  handler: ResolvedHandler,
  key: string | undefined = event.partitionkey,
): Task => ({
  source,
  delivery,
  event,
  handler,
  lane: key,
  lock: handler.lock,
  long: handler.long,
  order: delivery.order,
  admittedAt: performance.now(),
  startedAt: undefined,
  settled: false,
  begun: false,
  progress: undefined,
  watch: undefined,
  leave: undefined,
  left: false,
  previous: undefined,
  next: undefined,
})

const unhandled = (type: string): ControllerError =>
  new ControllerError('EVENT_UNHANDLED', `No handler and no ignore rule for events of type ${type}.`)

const broken = (thrown: unknown): ControllerError =>
  new ControllerError('EVENT_INVALID', 'The schema or the key of the handler threw.', { cause: thrown })

const invalid = (type: string, { issues = [] }: Pick<StandardResult<unknown>, 'issues'>): ControllerError => {
  const first = issues.slice(0, 5).map(({ path = [], message }) => {
    const place = path.map((step) => (typeof step === 'object' ? String(step.key) : String(step))).join('.')
    return `${place === '' ? 'data' : `data.${place}`}: ${message}`
  })
  return new ControllerError('EVENT_INVALID', `The payload of ${type} does not fit: ${first.join('; ')}.`)
}
