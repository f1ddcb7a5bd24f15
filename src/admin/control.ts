import { z } from 'zod'
import { ControllerError } from '../../machines/errors.ts'
import { type Command, confirmationOf, logLevels, type Who } from '../control/command.ts'
import type { Control } from '../control/control.ts'
import { Refused, type Reply } from './http.ts'

/**
 * `POST /control`: one command as JSON, its result as JSON. A command that wants a typed confirmation has it beside
 * itself, as `confirm`.
 *
 * ```
 * { "name": "pause", "source": "orders" }                  → { "source": "orders", "paused": true }
 * { "name": "redrive", "filter": { "seqs": ["42"] } }      → { "count": 1 }
 * { "name": "drain", "confirm": "drain" }                  → 202 { "state": "draining" }
 * ```
 */
export const control = async (to: Pick<Control, 'perform' | 'audit'>, body: unknown, who: Who): Promise<Reply> => {
  const { confirm, ...command } = readCommand(body)
  const wanted = confirmationOf(command)
  if (wanted !== undefined && confirm !== wanted) {
    const detail = `This wants a confirmation: "confirm": "${wanted}".`
    to.audit(command.name, who, 'refused', { reason: 'not confirmed' })
    throw new Refused({ status: 409, title: 'Not confirmed', detail })
  }
  return { status: command.name === 'drain' ? 202 : 200, body: await to.perform(command, who) }
}

/** @throws ControllerError COMMAND_INVALID for what is no command */
export const readCommand = (body: unknown): Command & { readonly confirm?: string } => {
  const read = request.safeParse(body)
  if (read.success) return read.data
  throw new ControllerError('COMMAND_INVALID', detailOf(read.error))
}

export const detailOf = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ')

const most = 1_000
const name = z.string().min(1).max(256)
const source = name
const seq = z.string().regex(/^\d{1,19}$/)
const confirm = z.string().max(64).exactOptional()

const filter = z.strictObject({
  seqs: z.array(seq).min(1).max(most).exactOptional(),
  source: name.exactOptional(),
  type: name.exactOptional(),
  code: name.exactOptional(),
  parkedUntil: z.iso.datetime({ offset: true }).exactOptional(),
  limit: z.number().int().min(1).max(most).default(most),
})

const of = <Name extends string, Shape extends z.ZodRawShape>(command: Name, shape: Shape) =>
  z.strictObject({ name: z.literal(command), confirm, ...shape })

const request = z.discriminatedUnion('name', [
  of('pause', { source }),
  of('resume', { source }),
  of('credit', {
    source,
    events: z.number().int().min(1).max(10_000).exactOptional(),
    bytes: z.number().int().min(1_024).max(4_294_967_296).exactOptional(),
  }),
  of('drain', {}),
  of('redrive', { filter }),
  of('drop', { filter }),
  of('editAndRedrive', { seq, data: z.json() }),
  of('releaseWaiter', {
    lock: name,
    source: name.exactOptional(),
    event: z.string().min(1).max(1_024).exactOptional(),
  }),
  of('logLevel', { level: z.enum(logLevels) }),
  of('rotateSecret', {
    source,
    add: z.string().min(1).max(4_096).exactOptional(),
    retire: z.number().int().min(1).exactOptional(),
  }),
]) satisfies z.ZodType<Command & { confirm?: string }>
