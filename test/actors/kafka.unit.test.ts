import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { type CommitRequest, createCommits } from '../../actors/kafka/commits.ts'
import { createDecoder, type KafkaRecord } from '../../actors/kafka/record.ts'
import { createStream } from '../../actors/kafka/stream.ts'
import { createTrack } from '../../actors/kafka/track.ts'
import { createTracks, type TopicPartitions } from '../../actors/kafka/tracks.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }

/** A consumer whose commits are under way until the test answers. */
const fakeClient = () => {
  const sent: { request: CommitRequest; asSent: string[]; answer: (error?: Error) => Promise<void> }[] = []
  return {
    sent,
    assignments: [{ topic: 't', partitions: [0, 1] }] as TopicPartitions[] | null,
    memberId: 'm-1' as string | null,
    active: true,
    isActive() {
      return this.active
    },
    commit(request: CommitRequest) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const answer = async (error?: Error) => {
        if (error) reject(error)
        else resolve()
        await new Promise((done) => setImmediate(done))
      }
      sent.push({ request, asSent: texts(request), answer })
      return promise
    },
  }
}

const texts = ({ offsets }: CommitRequest): string[] =>
  offsets.map(({ topic, partition, offset }) => `${topic}/${partition}@${offset}`)

const fencedCommits = (partitions = 2) => {
  const client = fakeClient()
  const tracks = createTracks(false, () => {})
  tracks.renew({ memberId: 'm-1', generationId: 1 }, client.assignments ?? [])
  for (let partition = 0; partition < partitions; partition++) tracks.begin('t', partition, 0)
  const commits = createCommits(client, tracks, { intervalMs: 60_000, log, onCommitted() {} })
  commits.begin()
  const settle = (partition: number, ...offsets: number[]) => {
    const track = tracks.get('t', partition)
    for (const offset of offsets) track?.take(offset)
    for (const offset of offsets) track?.settle(offset)
  }
  return { client, tracks, commits, settle }
}

describe('the commit fence', () => {
  test('commits are neither ordered nor monotonic, so there is one at a time', async () => {
    const { client, commits, settle } = fencedCommits()
    settle(0, 0, 1)
    void commits.flush()
    settle(0, 2, 3)
    void commits.flush()
    expect(client.sent.map(({ asSent }) => asSent)).toEqual([['t/0@2']])
    await client.sent[0]?.answer()
    void commits.flush()
    expect(client.sent.map(({ asSent }) => asSent)).toEqual([['t/0@2'], ['t/0@4']])
  })

  test('commit() is no fence: what is under way at a join is emptied, so that it is not sent under the new generation', async () => {
    const { client, tracks, commits, settle } = fencedCommits()
    settle(0, 0, 1)
    const done = commits.flush()
    commits.fence()
    expect(client.sent[0]?.request.offsets).toEqual([])
    await client.sent[0]?.answer()
    await done
    expect(tracks.get('t', 0)?.due()).toBe(2)
    await commits.flush()
    expect(client.sent).toHaveLength(1)
    commits.begin()
    void commits.flush()
    expect(client.sent[1]?.asSent).toEqual(['t/0@2'])
  })

  test('the broker does not check ownership: a commit holds only partitions that are assigned at the moment', () => {
    const { client, commits, settle } = fencedCommits()
    settle(0, 0)
    settle(1, 0)
    client.assignments = [{ topic: 't', partitions: [1] }]
    void commits.flush()
    expect(client.sent[0]?.asSent).toEqual(['t/1@1'])
  })

  test('commit() while memberId is null makes the broker close the connection: it is not sent', () => {
    const { client, commits, settle } = fencedCommits()
    settle(0, 0)
    client.memberId = null
    void commits.flush()
    commits.hold()
    expect(client.sent).toEqual([])
  })

  test('when a rebalance begins, one last commit is sent synchronously, and none until the next assignment', async () => {
    const { client, commits, settle } = fencedCommits()
    settle(0, 0)
    client.active = false // the library has stopped its heartbeat by now
    commits.hold()
    expect(client.sent[0]?.asSent).toEqual(['t/0@1'])
    await client.sent[0]?.answer()
    settle(0, 1)
    client.active = true
    await commits.flush()
    commits.hold()
    expect(client.sent).toHaveLength(1)
  })

  test('a commit that failed is tried again', async () => {
    const { client, commits, settle } = fencedCommits()
    settle(0, 0)
    const done = commits.flush()
    await client.sent[0]?.answer(new Error('refused'))
    await done
    void commits.flush()
    expect(client.sent[1]?.asSent).toEqual(['t/0@1'])
  })
})

describe('tracks', () => {
  const assigned = (...partitions: number[]): TopicPartitions[] => [{ topic: 't', partitions }]

  const taken = () => {
    const tracks = createTracks(false, () => {})
    tracks.renew({ memberId: 'm-1', generationId: 4 }, assigned(0, 1))
    tracks.begin('t', 0, 0)
    tracks.begin('t', 1, 0)
    return tracks
  }
  const left = (tracks: ReturnType<typeof taken>) => [...tracks.all()].map(({ partition }) => partition)

  test('a partition stays when the same member has it in the next generation', () => {
    const tracks = taken()
    const lost = tracks.get('t', 0)
    tracks.renew({ memberId: 'm-1', generationId: 5 }, assigned(1, 2))
    expect(left(tracks)).toEqual([1])
    expect(lost?.live).toBe(false)
  })

  test('everything is dropped after a generation that was missed, or under another member id', () => {
    const missed = taken()
    missed.renew({ memberId: 'm-1', generationId: 6 }, assigned(0, 1))
    expect(left(missed)).toEqual([])
    const expelled = taken()
    expelled.renew({ memberId: 'm-2', generationId: 5 }, assigned(0, 1))
    expect(left(expelled)).toEqual([])
  })

  test('the lead counts records, so that gaps in the offsets cost nothing', () => {
    const track = createTrack({ topic: 't', partition: 0, start: 5, commitStart: false })
    expect(track.due()).toBeUndefined()
    for (const offset of [5, 6, 1_000, 9_000]) expect(track.take(offset)).toBe(true)
    expect(track.take(1_000)).toBe(false)
    expect(track.lead).toBe(4)
    track.settle(1_000)
    expect(track.due()).toBeUndefined()
    track.settle(5)
    track.settle(6)
    expect(track.due()).toBe(9_000)
    track.committed(9_000)
    expect(track).toMatchObject({ lead: 1, position: 9_000, next: 9_001 })
  })

  test('a start that is to be committed is due at once', () => {
    expect(createTrack({ topic: 't', partition: 0, start: 5, commitStart: true }).due()).toBe(5)
  })
})

describe('one stream an assignment', () => {
  const watched = () => {
    const calls: string[] = []
    const source = Object.assign(new EventEmitter(), {
      offsetsToFetch: new Map([['t:0', 7n]]),
      pause: () => calls.push('pause'),
      resume: () => calls.push('resume'),
      destroy: () => calls.push('destroy'),
    })
    const seen: string[] = []
    const stream = createStream(source, {
      record: () => seen.push('record'),
      opened: () => seen.push('opened'),
      moved: () => seen.push('moved'),
      died: (opened) => seen.push(`died ${opened}`),
    })
    return { source, stream, seen, calls }
  }

  test('it begins halted, and says where it begins to read, and where it was moved to', () => {
    const { source, stream, seen, calls } = watched()
    expect(calls).toEqual(['pause'])
    source.emit('offsets')
    source.emit('offsets')
    expect(seen).toEqual(['opened', 'moved'])
    expect([stream.fetchOffset('t', 0), stream.fetchOffset('t', 1)]).toEqual([7, undefined])
    stream.flow()
    stream.flow()
    stream.halt()
    stream.halt()
    expect(calls).toEqual(['pause', 'resume', 'pause'])
  })

  test('records of revoked partitions still arrive from the buffer: a silent stream brings nothing and reports nothing', () => {
    const { source, stream, seen, calls } = watched()
    source.emit('data', {})
    stream.silence()
    stream.flow()
    source.emit('data', {})
    source.emit('offsets')
    source.emit('error', new Error('gone'))
    source.emit('close')
    expect(seen).toEqual(['record'])
    expect(calls).toEqual(['pause', 'pause'])
  })

  test('it dies once, however many signs there are, and tells whether it had read', () => {
    const { source, seen } = watched()
    source.emit('error', new Error('gone'))
    source.emit('close')
    expect(seen).toEqual(['died false'])
  })
})

describe('records as events', () => {
  const record = (
    given: Partial<Omit<KafkaRecord, 'headerEntries'>> & { headers?: Record<string, string> },
  ): KafkaRecord => ({
    topic: 'orders',
    partition: 3,
    offset: 42n,
    timestamp: 1_700_000_000_000n,
    key: undefined,
    value: Buffer.from('{"no":1}'),
    ...given,
    headerEntries: Object.entries(given.headers ?? {}).map(([name, value]) => [Buffer.from(name), Buffer.from(value)]),
  })
  const decode = (given: Parameters<typeof record>[0], type?: Parameters<typeof createDecoder>[1]['type']) =>
    createDecoder('shop', { maxEventBytes: 100, ...(type === undefined ? {} : { type }) })(record(given))

  test('a plain payload gets its id from its position and its type from the header, else from the topic', () => {
    expect(decode({}).event).toMatchObject({
      id: 'orders/3/42',
      identified: true,
      source: 'koksmat:shop',
      type: 'orders',
      time: '2023-11-14T22:13:20.000Z',
      data: { no: 1 },
    })
    expect(decode({ headers: { type: 'order.created' } }).event.type).toBe('order.created')
  })

  test('the type comes from a name, a header or a function, as asked', () => {
    const key = Buffer.from('k')
    expect(decode({}, 'fixed').event.type).toBe('fixed')
    expect(decode({ headers: { kind: 'h' } }, { header: 'kind' }).event.type).toBe('h')
    expect(decode({}, { header: 'kind' }).event.type).toBe('orders')
    expect(decode({ key }, (view) => `${view.topic}.${view.key}`).event.type).toBe('orders.k')
  })

  test('a type function that throws makes a defect, not a dead stream', () => {
    const { defect } = decode({}, () => {
      throw new Error('no type')
    })
    expect(defect?.error.code).toBe('EVENT_MALFORMED')
  })

  test('CloudEvents come in binary mode, with the content type as datacontenttype, and in structured mode', () => {
    const headers = {
      ce_id: 'e-1',
      ce_source: '/s',
      ce_type: 'a.b',
      ce_tenant: 'x',
      'content-type': 'application/json',
    }
    expect(decode({ headers }).event).toMatchObject({
      id: 'e-1',
      source: '/s',
      type: 'a.b',
      datacontenttype: 'application/json',
      extensions: { tenant: 'x' },
    })
    const value = Buffer.from('{"id":"e-2","source":"/s","type":"c.d","specversion":"1.0","data":[1]}')
    const event = decode({ value, headers: { 'content-type': 'application/cloudevents+json' } }).event
    expect(event).toMatchObject({ id: 'e-2', type: 'c.d', data: [1] })
  })

  test('headers are kept as extensions only under names that CloudEvents allows', () => {
    const headers = { shop: 'se', 'x-shop': 'se', Shop: 'se', data: 'x', id: 'x', traceparent: '00-1-2-01' }
    const { event } = decode({ headers })
    expect(event.extensions).toEqual({ shop: 'se' })
    expect(event).toMatchObject({ id: 'orders/3/42', traceparent: '00-1-2-01' })
  })

  test('a key is the partition key, in base64 where it is not UTF-8', () => {
    expect(decode({ key: Buffer.from('kund-å') }).event.partitionkey).toBe('kund-å')
    expect(decode({ key: Buffer.from([0xff, 0xfe]) }).event.partitionkey).toBe('//4=')
  })

  test('a tombstone has null for data and says so', () => {
    const { event, bytes, defect } = decode({ value: undefined, headers: { 'content-type': 'text/plain' } })
    expect(event).toMatchObject({ data: null, extensions: { tombstone: true } })
    expect({ bytes, defect }).toEqual({ bytes: 0, defect: undefined })
  })

  test('a payload that is too large is not read, and goes aside as it came', () => {
    const value = Buffer.alloc(101, 'x')
    const { event, defect } = decode({ value, headers: { type: 'order.created' } })
    expect(event).toMatchObject({ type: 'order.created', data: undefined })
    expect(defect).toMatchObject({ error: { code: 'EVENT_TOO_LARGE' }, raw: value })
  })
})
