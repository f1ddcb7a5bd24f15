import { Counter, collectDefaultMetrics, Gauge, Registry } from '@prometheus-io/client'
import type { SourceKind } from '../machines/event.ts'
import { type Result, results, sourceStates } from '../machines/protocol.ts'
import { createDurations } from './durations.ts'

/**
 * # Metrics
 *
 * What `GET /metrics` answers, in the Prometheus text format. Nothing here is counted event by event: at a scrape the
 * controller hands over one snapshot of its sources' counters, and every number of the answer comes from that one moment. So
 * `accepted = settled + in flight` holds in each scrape, and may be alerted on (docs/alerts.yaml).
 *
 * Labels are names from the configuration, never ids: the number of series is bounded by it.
 */
export interface MetricsSnapshot {
  readonly version: string
  /** As `/readyz` answers. */
  readonly ready: boolean
  /** How long the drain has taken; absent before it. */
  readonly drainMs?: number
  /** Events that wait for their handler to begin. */
  readonly mailboxDepth: number
  readonly sources: Readonly<Record<string, SourceMetrics>>
}

export interface SourceMetrics {
  readonly kind: SourceKind
  readonly state: string
  /** Time spent in each state so far, the present one included. */
  readonly stateMs?: Readonly<Record<string, number>>
  readonly accepted: number
  readonly settled: number
  readonly inFlight: number
  /** The settled ones, by how their job ended. */
  readonly results: Readonly<Partial<Record<Result, number>>>
  readonly reconnects: number
  /** In the journal, over all replicas. */
  readonly parked: number
}

export interface Metrics {
  /** One settled event, from its arrival to its settlement. */
  observe(source: string, result: Result, seconds: number): void
  /** A driver's own number (`DriverHost.gauge`), as `koksmat_<name>` with its labels. */
  gauge(name: string, value: number, labels?: Readonly<Record<string, string>>): void
  /** One more of a driver's own events (`DriverHost.count`), as `koksmat_<name>_total` with its labels. */
  count(name: string, labels?: Readonly<Record<string, string>>): void
  /** The text of a scrape. Scrapes are printed one after the other, each from its own snapshot. */
  render(snapshot: MetricsSnapshot): Promise<string>
}

export const metricsContentType: string = Registry.PROMETHEUS_CONTENT_TYPE

export const createMetrics = (): Metrics => {
  const registry = new Registry()
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> =>
    new Counter({ name, help, labelNames, registers })
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[]): Gauge<Label> =>
    new Gauge({ name, help, labelNames, registers })

  const accepted = counter('koksmat_events_accepted_total', 'Events taken from a source.', ['source', 'kind'])
  const settled = counter('koksmat_events_settled_total', 'Events settled, by how they ended.', ['source', 'outcome'])
  const inFlight = gauge('koksmat_events_in_flight', 'Events taken and not settled.', ['source'])
  const state = gauge('koksmat_source_state', '1 for the state a source is in.', ['source', 'state'])
  const stateSeconds = counter('koksmat_source_state_seconds_total', 'Time spent in each state.', ['source', 'state'])
  const reconnects = counter('koksmat_reconnects_total', 'Connections made again after a loss.', ['source'])
  const parked = gauge('koksmat_parked_events', 'Parked events, over all replicas.', ['source'])
  const mailbox = gauge('koksmat_mailbox_depth', 'Events taken that wait for their handler to begin.', [])
  const ready = gauge('koksmat_ready', '1 while the controller is ready.', [])
  const drain = gauge('koksmat_drain_duration_seconds', 'How long the drain has taken; 0 before it.', [])
  const build = gauge('koksmat_build_info', 'Always 1; the labels say what runs.', ['version', 'node'])
  collectDefaultMetrics({ register: registry })
  const durations = createDurations('koksmat_event_duration_seconds', 'From the arrival of an event to its settlement.')
  const driverGauges = new Map<string, Gauge<string>>()
  const driverCounters = new Map<string, Counter<string>>()

  const show = (snapshot: MetricsSnapshot): void => {
    for (const metric of [accepted, settled, inFlight, state, stateSeconds, reconnects, parked]) metric.reset()
    for (const [source, of] of Object.entries(snapshot.sources)) {
      accepted.inc({ source, kind: of.kind }, of.accepted)
      for (const outcome of results) settled.inc({ source, outcome }, of.results[outcome] ?? 0)
      inFlight.set({ source }, of.inFlight)
      reconnects.inc({ source }, of.reconnects)
      for (const each of sourceStates) state.set({ source, state: each }, each === of.state ? 1 : 0)
      for (const [each, ms] of Object.entries(of.stateMs ?? {})) stateSeconds.inc({ source, state: each }, ms / 1_000)
      parked.set({ source }, of.parked)
    }
    mailbox.set(snapshot.mailboxDepth)
    ready.set(snapshot.ready ? 1 : 0)
    drain.set((snapshot.drainMs ?? 0) / 1_000)
    build.set({ version: snapshot.version, node: process.version }, 1)
  }

  let last: Promise<unknown> = Promise.resolve()
  return {
    observe: durations.observe,
    gauge: (name, value, labels = {}) => {
      let found = driverGauges.get(name)
      if (found === undefined) {
        found = gauge(`koksmat_${name}`, 'Reported by the driver of a source.', Object.keys(labels))
        driverGauges.set(name, found)
      }
      found.set(labels, value)
    },
    count: (name, labels = {}) => {
      let found = driverCounters.get(name)
      if (found === undefined) {
        found = counter(`koksmat_${name}_total`, 'Counted by the driver of a source.', Object.keys(labels))
        driverCounters.set(name, found)
      }
      found.inc(labels)
    },
    render: (snapshot) => {
      const text = last.then(async () => {
        show(snapshot)
        return (await registry.metrics()) + durations.exposition()
      })
      last = text.catch(() => undefined)
      return text
    },
  }
}
