import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { sourceStates } from '../../machines/protocol.ts'
import { createMetrics, type Metrics, type MetricsSnapshot } from '../../src/metrics.ts'

const docs = join(import.meta.dirname, '../../docs')
const namesIn = (text: string): readonly string[] => [...new Set(text.match(/\bkoksmat_[a-z_]+/g))].sort()

const snapshot = (accepted: number): MetricsSnapshot => ({
  version: '1.2.3',
  mailboxDepth: 9,
  ready: true,
  sources: {
    orders: {
      kind: 'queue',
      state: 'listening',
      stateMs: { connecting: 1_500, listening: 60_000 },
      accepted,
      settled: accepted - 2,
      inFlight: 2,
      results: { done: accepted - 3, parked: 1 },
      reconnects: 4,
      parked: 7,
    },
  },
})

let metrics: Metrics
beforeAll(() => {
  metrics = createMetrics()
})

/** The series of one metric: labels and value by line. */
const series = (text: string, name: string): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [...text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, 'gm'))].map(([, labels = '', value]) => [
      labels,
      Number(value),
    ]),
  )
const sum = (of: Readonly<Record<string, number>>): number => Object.values(of).reduce((all, value) => all + value, 0)

describe('a scrape', () => {
  test('shows one snapshot: accepted is settled and in flight, and a second scrape adds nothing to the first', async () => {
    await metrics.render(snapshot(10))
    const text = await metrics.render(snapshot(25))
    expect(series(text, 'koksmat_events_accepted_total')).toEqual({ 'source="orders",kind="queue"': 25 })
    expect(sum(series(text, 'koksmat_events_settled_total')) + sum(series(text, 'koksmat_events_in_flight'))).toBe(25)
    expect(series(text, 'koksmat_reconnects_total')).toEqual({ 'source="orders"': 4 })
    expect(series(text, 'koksmat_parked_events')).toEqual({ 'source="orders"': 7 })
    expect(series(text, 'koksmat_mailbox_depth')).toEqual({ '': 9 })
  })

  test('is not mixed up with another at the same time', async () => {
    const texts = await Promise.all([100, 200, 300].map((accepted) => metrics.render(snapshot(accepted))))
    for (const [index, text] of texts.entries()) {
      expect(sum(series(text, 'koksmat_events_accepted_total'))).toBe((index + 1) * 100)
      expect(sum(series(text, 'koksmat_events_settled_total'))).toBe((index + 1) * 100 - 2)
    }
  })

  test('has every state of a source, one of them with 1', async () => {
    const states = series(await metrics.render(snapshot(10)), 'koksmat_source_state')
    expect(Object.keys(states)).toHaveLength(sourceStates.length)
    expect(sum(states)).toBe(1)
    expect(states['source="orders",state="listening"']).toBe(1)
  })

  test('tells times in seconds', async () => {
    const text = await metrics.render({ ...snapshot(10), drainMs: 2_500 })
    expect(series(text, 'koksmat_drain_duration_seconds')).toEqual({ '': 2.5 })
    expect(series(text, 'koksmat_source_state_seconds_total')).toMatchObject({
      'source="orders",state="listening"': 60,
    })
  })

  test('counts durations into cumulative buckets that end at all of them', async () => {
    for (const seconds of [0.0005, 0.001, 0.3, 400]) metrics.observe('ti"me\\d', 'done', seconds)
    const text = await metrics.render(snapshot(10))
    const labels = 'source="ti\\"me\\\\d",outcome="done"'
    const buckets = series(text, 'koksmat_event_duration_seconds_bucket')
    expect(buckets[`${labels},le="0.001"`]).toBe(2)
    expect(buckets[`${labels},le="0.25"`]).toBe(2)
    expect(buckets[`${labels},le="0.5"`]).toBe(3)
    expect(buckets[`${labels},le="300"`]).toBe(3)
    expect(buckets[`${labels},le="+Inf"`]).toBe(4)
    expect(series(text, 'koksmat_event_duration_seconds_count')[labels]).toBe(4)
    expect(series(text, 'koksmat_event_duration_seconds_sum')[labels]).toBeCloseTo(400.3015)
  })

  test("has the drivers' own numbers under their name", async () => {
    metrics.gauge('kafka_lag', 12, { source: 'stock', topic: 't', partition: '0' })
    metrics.gauge('kafka_lag', 3, { source: 'stock', topic: 't', partition: '0' })
    for (const reason of ['forged', 'stale', 'forged']) metrics.count('webhook_refused', { source: 'github', reason })
    const text = await metrics.render(snapshot(10))
    expect(text).toContain('# TYPE koksmat_webhook_refused_total counter\n')
    expect(series(text, 'koksmat_webhook_refused_total')).toEqual({
      'source="github",reason="forged"': 2,
      'source="github",reason="stale"': 1,
    })
    expect(series(text, 'koksmat_kafka_lag')).toEqual({ 'source="stock",topic="t",partition="0"': 3 })
  })
})

describe('the documentation', () => {
  const ofDrivers = ['koksmat_kafka_hole_records', 'koksmat_kafka_lag', 'koksmat_webhook_refused_total']

  test('has every metric that there is, and no other', async () => {
    const text = await createMetrics().render(snapshot(10))
    const there = [...text.matchAll(/^# TYPE (koksmat_\w+)/gm)].map(([, name]) => name ?? '')
    const table = readFileSync(join(docs, 'operating.md'), 'utf8').matchAll(/^\| `(koksmat_\w+)`/gm)
    expect([...table].map(([, name]) => name).sort()).toEqual([...there, ...ofDrivers].sort())
  })

  test('explains every alert, and no alert looks at a metric or a state that is not there', async () => {
    const rules = readFileSync(join(docs, 'alerts.yaml'), 'utf8')
    const text = await createMetrics().render(snapshot(10))
    expect(namesIn(rules).filter((name) => !text.includes(`# TYPE ${name} `))).toEqual([])
    const states = [...rules.matchAll(/state="(\w+)"/g)].map(([, state]) => state)
    expect(states.filter((state) => !sourceStates.some((known) => known === state))).toEqual([])
    const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, alert]) => alert)
    const explained = readFileSync(join(docs, 'operating.md'), 'utf8').matchAll(/^\| `(Koksmat\w+)`/gm)
    expect([...explained].map(([, alert]) => alert)).toEqual(alerts)
  })
})
