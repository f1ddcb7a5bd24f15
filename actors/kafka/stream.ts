import type { KafkaRecord } from './record.ts'

/** The part of the library's stream that we use. */
export interface KafkaStream {
  readonly offsetsToFetch: ReadonlyMap<string, bigint>
  on(event: 'data', listener: (record: KafkaRecord) => void): unknown
  on(event: 'offsets' | 'close', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  pause(): unknown
  resume(): unknown
  destroy(): unknown
}

export interface StreamEvents {
  record(record: KafkaRecord): void
  /** The stream knows where it begins to read. */
  opened(): void
  /** Some offset was out of range, and the stream went to where the log is. */
  moved(): void
  /** It ended by itself; `opened` tells whether it ever read. */
  died(opened: boolean, error: Error | undefined): void
}

/**
 * One stream of records for one assignment; a stream must not outlive its assignment. It falls silent at once when told,
 * and stays so: what the library still has in its buffer, or under way, belongs to nobody.
 */
export interface Stream {
  flow(): void
  /** Exact: nothing arrives after it. */
  halt(): void
  silence(): void
  destroy(): void
  /** Next offset to be fetched. */
  fetchOffset(topic: string, partition: number): number | undefined
}

export const createStream = (source: KafkaStream, events: StreamEvents): Stream => {
  let opened = false
  let silent = false
  let flowing = false

  const died = (error?: Error): void => {
    if (silent) return
    silent = true
    events.died(opened, error)
  }
  const halt = (): void => {
    flowing = false
    source.pause()
  }

  halt()
  source.on('error', died)
  source.on('close', () => died())
  source.on('offsets', () => {
    if (silent) return
    if (opened) events.moved()
    else events.opened()
    opened = true
  })
  source.on('data', (record) => {
    if (!silent) events.record(record)
  })

  return {
    flow() {
      if (silent || flowing) return
      flowing = true
      source.resume()
    },
    halt() {
      if (flowing) halt()
    },
    silence() {
      silent = true
      halt()
    },
    destroy() {
      silent = true
      source.destroy()
    },
    fetchOffset(topic, partition) {
      const offset = source.offsetsToFetch.get(`${topic}:${partition}`)
      return offset === undefined ? undefined : Number(offset)
    },
  }
}
