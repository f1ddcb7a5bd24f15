import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import type { ParkedFilter } from '../../machines/journal.ts'
import { type MachineGraph, toMermaid } from '../graph.ts'
import { metricsContentType } from '../metrics.ts'
import { Refused, type Reply, readJson } from './http.ts'
import type { AdminTarget } from './target.ts'

/**
 * ```
 * GET  /livez /readyz /startupz   200 or 503, and why                    open
 * GET  /metrics                   Prometheus text                        token, where one is configured
 * GET  /status                    Status (src/status.ts)                 token
 * GET  /graph?format=             MachineGraph[], or mermaid             token
 * GET  /events?source&type&code&limit   parked events                    token
 * GET  /events/SEQ                one, with payload and history          token
 * POST /events/redrive            { seqs | source | type | code | all, limit }   token, audited
 * POST /events/drop               the same                               token, audited
 * POST /drain                     begins the drain; 202                  token, audited
 * ```
 */
export interface Route {
  readonly method: 'GET' | 'POST'
  readonly path: RegExp
  readonly open?: true
  reply(target: AdminTarget, call: Call): Reply | Promise<Reply>
}

export interface Call {
  readonly request: IncomingMessage
  readonly query: URLSearchParams
  /** What the path captured. */
  readonly segment: string
  /** Records a command that changes something. */
  audit(command: string, fields: object): void
}

const defaultLimit = 100
const maxLimit = 1_000
const name = z.string().min(1).max(256)
const limit = z.coerce.number().int().min(1).max(maxLimit).default(defaultLimit)
const listQuery = z.strictObject({ source: name.optional(), type: name.optional(), code: name.optional(), limit })
const selection = z
  .strictObject({
    seqs: z
      .array(z.string().regex(/^\d{1,19}$/))
      .min(1)
      .max(maxLimit)
      .optional(),
    source: name.optional(),
    type: name.optional(),
    code: name.optional(),
    all: z.literal(true).optional(),
    limit: z.number().int().min(1).max(maxLimit).default(maxLimit),
  })
  .refine(({ seqs, source, type, code, all }) => seqs ?? source ?? type ?? code ?? all, {
    message: 'say which events: seqs, source, type, code, or all: true',
  })

export const routes: readonly Route[] = [
  probe(/^\/livez$/, 'live'),
  probe(/^\/readyz$/, 'ready'),
  probe(/^\/startupz$/, 'started'),
  {
    method: 'GET',
    path: /^\/metrics$/,
    reply: async (target) => ({ status: 200, body: await target.metrics(), contentType: metricsContentType }),
  },
  { method: 'GET', path: /^\/status$/, reply: async (target) => ok(await target.status()) },
  {
    method: 'GET',
    path: /^\/graph$/,
    reply: (target, { query }) =>
      query.get('format') === 'mermaid'
        ? {
            status: 200,
            body: toMermaid(target.graph() as readonly MachineGraph[]),
            contentType: 'text/plain; charset=utf-8',
          }
        : ok(target.graph()),
  },
  {
    method: 'GET',
    path: /^\/events$/,
    reply: async (target, { query }) =>
      ok({ events: await target.parked.list(filterOf(check(listQuery, Object.fromEntries(query)))) }),
  },
  {
    method: 'GET',
    path: /^\/events\/(\d{1,19})$/,
    reply: async (target, { segment }) => {
      const event = await target.parked.show(segment)
      if (event === undefined) throw new Refused({ status: 404, title: 'No such parked event' })
      return ok(event)
    },
  },
  command(/^\/events\/redrive$/, 'redrive', async (target, filter) => ({
    redriven: await target.parked.redrive(filter),
  })),
  command(/^\/events\/drop$/, 'drop', async (target, filter) => ({ dropped: await target.parked.drop(filter) })),
  {
    method: 'POST',
    path: /^\/drain$/,
    reply: async (target, { request, audit }) => {
      check(z.strictObject({}), await readJson(request))
      audit('drain', {})
      target.drain('asked for on the admin port')
      return { status: 202, body: { state: 'draining' } }
    },
  },
]

function probe(path: RegExp, fact: 'live' | 'ready' | 'started'): Route {
  return {
    method: 'GET',
    path,
    open: true,
    reply: (target) => {
      const probes = target.probes()
      return { status: probes[fact] ? 200 : 503, body: { [fact]: probes[fact], why: probes[fact] ? [] : probes.why } }
    },
  }
}

function command(
  path: RegExp,
  verb: string,
  run: (target: AdminTarget, filter: ParkedFilter) => Promise<object>,
): Route {
  return {
    method: 'POST',
    path,
    reply: async (target, { request, audit }) => {
      const { all: _, ...filter } = check(selection, await readJson(request))
      const done = await run(target, filterOf(filter))
      audit(verb, { filter, ...done })
      return ok(done)
    },
  }
}

const ok = (body: unknown): Reply => ({ status: 200, body })

type Selected = { [Key in keyof ParkedFilter]?: ParkedFilter[Key] | undefined } & { limit: number }

/** zod says `undefined` where a key is missing; a filter has the key or not. */
const filterOf = ({ seqs, source, type, code, limit: most }: Selected): ParkedFilter => ({
  ...(seqs === undefined ? {} : { seqs }),
  ...(source === undefined ? {} : { source }),
  ...(type === undefined ? {} : { type }),
  ...(code === undefined ? {} : { code }),
  limit: most,
})

const check = <Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> => {
  const checked = schema.safeParse(value)
  if (checked.success) return checked.data
  const detail = checked.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ')
  throw new Refused({ status: 400, title: 'Not understood', detail })
}
