import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import type { ParkedFilter } from '../../machines/journal.ts'
import type { Who } from '../control/command.ts'
import { type MachineGraph, toMermaid } from '../graph.ts'
import { metricsContentType } from '../metrics.ts'
import { control, detailOf } from './control.ts'
import type { Role } from './guard.ts'
import { Refused, type Reply, readJson } from './http.ts'
import type { AdminTarget } from './target.ts'

/**
 * ```
 * GET  /livez /readyz /startupz   200 or 503, and why                    open
 * GET  /metrics                   Prometheus text                        read, where a token is configured
 * GET  /status                    Status (src/status.ts)                 read
 * GET  /graph?format=             MachineGraph[], or mermaid             read
 * GET  /events?source&type&code&limit   parked events                    read
 * GET  /events/SEQ                one, with payload and history          read
 * POST /control                   a command (./control.ts)               operate
 * ```
 */
export interface Route {
  readonly method: 'GET' | 'POST'
  readonly path: RegExp
  readonly needs: 'nothing' | Role
  reply(target: AdminTarget, call: Call): Reply | Promise<Reply>
}

export interface Call {
  readonly request: IncomingMessage
  readonly query: URLSearchParams
  /** What the path captured. */
  readonly segment: string
  readonly who: Who
}

const defaultLimit = 100
const maxLimit = 1_000
const name = z.string().min(1).max(256)
const limit = z.coerce.number().int().min(1).max(maxLimit).default(defaultLimit)
const listQuery = z.strictObject({ source: name.optional(), type: name.optional(), code: name.optional(), limit })
export const routes: readonly Route[] = [
  probe(/^\/livez$/, 'live'),
  probe(/^\/readyz$/, 'ready'),
  probe(/^\/startupz$/, 'started'),
  {
    method: 'GET',
    path: /^\/metrics$/,
    needs: 'read',
    reply: async (target) => ({ status: 200, body: await target.metrics(), contentType: metricsContentType }),
  },
  { method: 'GET', path: /^\/status$/, needs: 'read', reply: async (target) => ok(await target.status()) },
  {
    method: 'GET',
    path: /^\/graph$/,
    needs: 'read',
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
    needs: 'read',
    reply: async (target, { query }) =>
      ok({ events: await target.parked.list(filterOf(check(listQuery, Object.fromEntries(query)))) }),
  },
  {
    method: 'GET',
    path: /^\/events\/(\d{1,19})$/,
    needs: 'read',
    reply: async (target, { segment }) => {
      const event = await target.parked.show(segment)
      if (event === undefined) throw new Refused({ status: 404, title: 'No such parked event' })
      return ok(event)
    },
  },
  {
    method: 'POST',
    path: /^\/control$/,
    needs: 'operate',
    reply: async (target, { request, who }) => control(target.control, await readJson(request), who),
  },
]

function probe(path: RegExp, fact: 'live' | 'ready' | 'started'): Route {
  return {
    method: 'GET',
    path,
    needs: 'nothing',
    reply: (target) => {
      const probes = target.probes()
      return { status: probes[fact] ? 200 : 503, body: { [fact]: probes[fact], why: probes[fact] ? [] : probes.why } }
    },
  }
}

const ok = (body: unknown): Reply => ({ status: 200, body })

/** zod says `undefined` where a key is missing; a filter has the key or not. */
const filterOf = ({ source, type, code, limit: most }: z.output<typeof listQuery>): ParkedFilter => ({
  ...(source === undefined ? {} : { source }),
  ...(type === undefined ? {} : { type }),
  ...(code === undefined ? {} : { code }),
  limit: most,
})

const check = <Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> => {
  const checked = schema.safeParse(value)
  if (checked.success) return checked.data
  throw new Refused({ status: 400, title: 'Not understood', detail: detailOf(checked.error) })
}
