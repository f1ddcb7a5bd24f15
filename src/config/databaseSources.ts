import { z } from 'zod'
import type { PollOptions } from '../../actors/poll.ts'
import { journalQueue, longQueue } from '../../machines/journal.ts'
import type { Environment } from './environment.ts'
import {
  anyText,
  duration,
  type Field,
  fitting,
  isPlainObject,
  listOf,
  part,
  refuse,
  shape,
  text,
  whole,
} from './fields.ts'
import { url } from './references.ts'
import type { ResolvedSource } from './resolved.ts'
import { creditFields, creditOf, eventType, eventTypeOr, interval } from './sourceFields.ts'

/** The options of `tableQueue` and `poll`, with their defaults. */

const reserved: readonly string[] = [journalQueue, longQueue]
const queueExpected = `a name of letters, digits, '.', '_' and '-', not ${reserved.map((queue) => `'${queue}'`).join(' or ')}`

export const tableQueueSource = (): Field<ResolvedSource> =>
  shape({
    ...creditFields,
    queue: text(queueExpected, /^[\w.-]{1,100}$/).refine((queue) => !reserved.includes(queue), {
      error: 'is a queue of the journal itself',
      params: { expected: queueExpected },
    }),
    interval,
  }).transform(
    (given): ResolvedSource => ({
      driver: 'tableQueue',
      kind: 'queue',
      credit: creditOf(given),
      options: { queue: given.queue, pollMs: given.interval },
    }),
  )

type Take = Extract<PollOptions, { mode: 'trigger' }>['take']
type Teller = Extract<PollOptions['type'], (...given: never[]) => unknown>

export const pollSource = (environment: Environment): Field<ResolvedSource> => {
  const common = {
    ...creditFields,
    interval,
    url: url({ environment, schemes: ['postgres', 'postgresql'] }).exactOptional(),
    notify: text('the name of a channel').exactOptional(),
    notifyUrl: url({ environment, schemes: ['postgres', 'postgresql'] }).exactOptional(),
    type: eventTypeOr<Teller>(),
    pageSize: whole(1, 10_000).exactOptional(),
  }
  const trigger = shape({
    ...common,
    table: text("a table, such as 'invoices' or 'shop.invoices'"),
    where: anyText('a condition in SQL').exactOptional(),
    key: text('a column').default('id'),
    columns: listOf(text('a column'), 'a list of columns').exactOptional(),
    mark: fitting(
      z
        .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
        .refine((columns) => Object.keys(columns).length > 0),
      "columns and what to set them to, such as { status: 'seen' }",
    ).exactOptional(),
    delete: fitting(z.literal(true), 'true').exactOptional(),
    track: shape({ version: text('a column that changes with the row') }).exactOptional(),
  }).transform(({ mark, track, ...given }, context): ResolvedSource => {
    const takes: Take[] = [
      ...(mark === undefined ? [] : [{ mark }]),
      ...(given.delete === undefined ? [] : [{ delete: given.delete }]),
      ...(track === undefined ? [] : [{ track }]),
    ]
    const [take, ...others] = takes
    if (take === undefined || others.length > 0) {
      return refuse(context, `has ${takes.length} of \`mark\`, \`delete\` and \`track\``, 'exactly one of them')
    }
    const { table, key, where, columns } = given
    const own = {
      table,
      key,
      take,
      ...(where === undefined ? {} : { where }),
      ...(columns === undefined ? {} : { columns }),
    }
    return polled(given, { ...commonOf(given), mode: 'trigger', ...own })
  })
  const condition = shape({
    ...common,
    query: anyText('a query in SQL that gives a column `key`'),
    clears: eventType.exactOptional(),
    every: duration('1s', '24d').exactOptional(),
  }).transform((given): ResolvedSource => {
    const { query, clears, every } = given
    const own = {
      query,
      ...(clears === undefined ? {} : { clears }),
      ...(every === undefined ? {} : { everyMs: every }),
    }
    return polled(given, { ...commonOf(given), mode: 'condition', ...own })
  })
  return z.unknown().transform((value, context): ResolvedSource => {
    const [table, query] = isPlainObject(value) ? [value['table'], value['query']] : []
    if ((table === undefined) !== (query === undefined))
      return part(table === undefined ? condition : trigger, value, context)
    return refuse(context, `has ${table === undefined ? 'neither' : 'both'} \`table\` and \`query\``, 'one of the two')
  })
}

type Common = Pick<PollOptions, 'type' | 'pollMs' | 'url' | 'notify' | 'notifyUrl' | 'pageSize'>

interface GivenCommon extends Omit<Common, 'pollMs'> {
  readonly interval: { min: number; max: number }
}

const commonOf = ({ type, interval, url, notify, notifyUrl, pageSize }: GivenCommon): Common => ({
  type,
  pollMs: interval,
  ...(url === undefined ? {} : { url }),
  ...(notify === undefined ? {} : { notify }),
  ...(notifyUrl === undefined ? {} : { notifyUrl }),
  ...(pageSize === undefined ? {} : { pageSize }),
})

const polled = (given: { credit: number; creditBytes: number }, options: PollOptions): ResolvedSource => ({
  driver: 'poll',
  kind: 'database',
  credit: creditOf(given),
  options,
})
