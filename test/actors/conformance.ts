import { afterEach, describe, expect, test } from 'vitest'
import type { Delivery, Driver, DriverHost, Link, Outcome } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import { until } from '../support/until.ts'

/**
 * # What every driver keeps, against its real service
 *
 * The driver contract (`machines/driver.ts`) as tests. A driver joins with a harness, which opens a place of its own in
 * the service (a queue, a topic, a table, a path), and with its row of the feature table: the only exceptions there are.
 */
export interface Features {
  /**
   * Who remembers what is settled, and so what the next link brings:
   * - `each`: the broker, each event. The next link brings what was not settled.
   * - `prefix`: the broker, up to the first gap. The next link brings everything from there on.
   * - `journal`: the journal, before the driver is told. Rows stay with the replica that has them: the next link brings
   *   new ones only.
   */
  readonly remembers: 'each' | 'prefix' | 'journal'
  /** A released event comes again through the same link; otherwise the journal's own queue brings it. */
  readonly bringsReleased: boolean
  /** A cut is told as `lost`, or healed by the library unseen, or there is no connection that could be cut. */
  readonly cut: 'lost' | 'healed' | 'none'
}

/** One place in the service and the driver for it, new for each test. */
export interface Service {
  /** Name of the configured source. */
  readonly source: string
  readonly driver: Driver
  /** The same driver where there is no service. */
  readonly stranded: Driver
  /** Brings events with `data.no`. A sender that is refused tries again by itself until `close`. */
  publish(...numbers: readonly number[]): Promise<void>
  /** Events that are published and not done, whoever has them. Asked when no link is open. */
  remaining(): Promise<number>
  /** The driver's connections, as the other side sees them. */
  connections(): number | Promise<number>
  /** Ends its connections and lets no new ones in until `heal`. */
  cut(): void
  heal(): void
  /** Settles rows, as jobs do before the driver is told. */
  settleRows?(deliveries: readonly Delivery[], outcome: Outcome): Promise<void>
  close(): Promise<void>
}

export const conformance = (name: string, features: Features, open: () => Promise<Service>): void => {
  const services: Service[] = []
  const records: LinkRecord[] = []

  const serve = async (): Promise<Service> => {
    const service = await open()
    services.push(service)
    return service
  }
  const connect = async (service: Service, credit = 10): Promise<LinkRecord> => {
    const record = await recordLink(service, credit)
    records.push(record)
    return record
  }
  const consume = async (service: Service, credit?: number): Promise<LinkRecord> => {
    const record = await connect(service, credit)
    await record.link.consume()
    return record
  }
  /** What the service holds at last, seen by nobody who still has something in hand. */
  const holds = async (service: Service, count: number): Promise<void> => {
    await Promise.all(records.map(({ link }) => link.disconnect()))
    await until(async () => (await service.remaining()) === count)
  }

  afterEach(async () => {
    const used = records.splice(0)
    await Promise.all(used.map(({ link }) => link.disconnect()))
    await Promise.all(services.splice(0).map((service) => service.close()))
    expect(used.flatMap(({ breaches }) => breaches)).toEqual([])
  })

  describe(`${name} keeps the driver contract`, () => {
    test('nothing is delivered before consume, then everything once', async () => {
      const service = await serve()
      await service.publish(1, 2)
      const { link, numbers, lost } = await connect(service)
      await service.publish(3)
      expect(numbers()).toEqual([])
      await link.consume()
      await until(() => numbers().length === 3)
      expect([numbers(), lost]).toEqual([[1, 2, 3], []])
    })

    test('what is settled is done, in whatever order, and the next link brings the rest', async () => {
      const service = await serve()
      await service.publish(1, 2, 3, 4, 5, 6, 7, 8)
      const first = await consume(service)
      await until(() => first.numbers().length === 8)
      await first.settle(first.pick(7, 2))
      await first.settle(first.pick(1))
      await first.settle(first.pick(5, 4))
      await first.link.disconnect()
      await service.publish(9)
      const rest = { each: [3, 6, 8, 9], prefix: [3, 4, 5, 6, 7, 8, 9], journal: [9] }[features.remembers]
      const second = await consume(service)
      await until(() => second.numbers().length === rest.length)
      expect(second.numbers()).toEqual(rest)
      await second.settle(second.delivered)
      await holds(service, features.remembers === 'journal' ? 3 : 0)
    })

    if (features.bringsReleased)
      test('what is released comes again through the same link', async () => {
        const service = await serve()
        await service.publish(1, 2, 3)
        const { numbers, pick, unsettled, settle, lost } = await consume(service)
        await until(() => numbers().length === 3)
        await settle(pick(2), 'release')
        await settle(pick(1, 3))
        await until(() => numbers().filter((no) => no === 2).length === 2)
        await until(() => unsettled().length === numbers().length - 3)
        await settle(unsettled())
        await holds(service, 0)
        expect(lost).toEqual([])
      })
    else
      test('what is released gives back its credit and is not done', async () => {
        const service = await serve()
        await service.publish(1)
        const { numbers, pick, settle } = await consume(service, 1)
        await until(() => numbers().length === 1)
        await settle(pick(1), 'release')
        await service.publish(2)
        await until(() => numbers().length === 2)
        await settle(pick(2))
        await holds(service, 1)
      })

    test('what is rejected is done and gives back its credit', async () => {
      const service = await serve()
      await service.publish(1, 2)
      const { numbers, unsettled, settle } = await consume(service, 1)
      for (const count of [1, 2]) {
        await until(() => numbers().length === count)
        await settle(unsettled(), 'reject')
      }
      await holds(service, 0)
      expect(numbers()).toEqual([1, 2])
    })

    test('never more than the credit is unsettled, and what is settled brings more', async () => {
      const service = await serve()
      const all = Array.from({ length: 40 }, (_, index) => index + 1)
      await service.publish(...all)
      const { numbers, unsettled, settle } = await consume(service, 4)
      for (let settled = 0; settled < 40; settled += 2) {
        await until(() => unsettled().length === Math.min(4, 40 - settled))
        await settle(unsettled().slice(-2))
      }
      expect(numbers()).toEqual(all)
      await holds(service, 0)
    })

    test('a credit that is changed holds at once, whether it is more or less', async () => {
      const service = await serve()
      const all = Array.from({ length: 24 }, (_, index) => index + 1)
      await service.publish(...all)
      const { numbers, unsettled, settle, setCredit } = await consume(service, 2)
      await until(() => unsettled().length === 2)
      setCredit(8)
      await until(() => unsettled().length === 8)
      setCredit(3)
      while (numbers().length < 24) {
        await until(() => unsettled().length > 0)
        await settle(unsettled().slice(0, 1))
      }
      await settle(unsettled())
      expect(numbers()).toEqual(all)
      await holds(service, 0)
    })

    test('a pause stops the intake while a link beside it goes on, and a resume starts it again', async () => {
      const [service, beside] = [await serve(), await serve()]
      const paused = await consume(service, 2)
      const control = await consume(beside)
      await service.publish(1)
      await until(() => paused.unsettled().length === 1)
      paused.link.pause()
      paused.link.pause()
      for (const no of [2, 3, 4, 5, 6, 7, 8, 9]) {
        await service.publish(no)
        await beside.publish(no)
        await until(() => control.numbers().includes(no))
        await paused.settle(paused.unsettled())
      }
      expect(paused.numbers().length).toBeLessThanOrEqual(3)
      paused.link.resume()
      paused.link.resume()
      while (paused.numbers().length < 9) {
        await until(() => paused.unsettled().length > 0)
        await paused.settle(paused.unsettled())
      }
      expect(paused.numbers()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
    })

    if (features.cut === 'lost')
      test('a cut is told once, and the next link loses nothing', async () => {
        const service = await serve()
        await service.publish(1, 2, 3)
        const { host, link, numbers, lost } = await consume(service)
        await until(() => numbers().length === 3)
        service.cut()
        await until(() => lost.length > 0)
        const thrown = await service.driver.connect(host).catch((error: unknown) => error)
        expect(thrown).toBeInstanceOf(ControllerError)
        await link.disconnect()
        service.heal()
        const next = await until(() => consume(service))
        await service.publish(4)
        const rest = features.remembers === 'journal' ? [4] : [1, 2, 3, 4]
        await until(() => next.numbers().length === rest.length)
        expect([next.numbers(), lost.length, next.lost]).toEqual([rest, 1, []])
      })

    if (features.cut === 'healed')
      test('a cut is healed unseen, and nothing is lost', async () => {
        const service = await serve()
        await service.publish(1, 2, 3)
        const { numbers, unsettled, settle, lost } = await consume(service)
        await until(() => numbers().length === 3)
        service.cut()
        service.heal()
        await service.publish(4)
        await until(() => numbers().includes(4))
        await settle(unsettled())
        await holds(service, 0)
        expect(lost).toEqual([])
      })

    test('receipts of an earlier link settle nothing and give no credit', async () => {
      const service = await serve()
      await service.publish(1, 2, 3, 4, 5, 6)
      const first = await consume(service, 2)
      await until(() => first.unsettled().length === 2)
      await first.link.disconnect()
      const second = await consume(service, 2)
      await until(() => second.unsettled().length === 2)
      for (const { link } of [second, first]) {
        link.settle(first.delivered.map(({ receipt }) => ({ receipt, outcome: 'ack' })))
      }
      const left = features.remembers === 'journal' ? 4 : 6
      for (let settled = 0; settled < left; settled++) {
        await until(() => second.unsettled().length === Math.min(2, left - settled))
        await second.settle(second.unsettled().slice(0, 1))
      }
      expect(new Set(second.numbers()).size).toBe(left)
      await holds(service, 6 - left)
    })

    test('after cancel nothing is delivered, and what was delivered can still be settled', async () => {
      const [service, beside] = [await serve(), await serve()]
      await service.publish(1, 2)
      const { link, numbers, settle, delivered } = await consume(service)
      await until(() => numbers().length === 2)
      await link.cancel()
      link.resume()
      await service.publish(3)
      await beside.publish(3)
      const control = await consume(beside)
      await until(() => control.numbers().length === 1)
      await settle(delivered)
      await holds(service, 1)
      expect(numbers()).toEqual([1, 2])
    })

    test('disconnect leaves nothing open: with events in hand, twice, at once, and before consume', async () => {
      const service = await serve()
      await service.publish(1, 2)
      const idle = await connect(service)
      await idle.link.disconnect()
      const busy = await consume(service)
      await until(() => busy.numbers().length === 2)
      await Promise.all([busy.link.disconnect(), busy.link.disconnect(), idle.link.disconnect()])
      await busy.link.disconnect()
      await until(async () => (await service.connections()) === 0)
      await holds(service, 2)
      expect([idle.lost, busy.lost]).toEqual([[], []])
    })

    test('without a service connect rejects with a code, and leaves nothing open', async () => {
      const service = await serve()
      const { host } = createHost('nowhere', 1)
      const thrown = await service.stranded.connect(host).catch((error: unknown) => error)
      expect(thrown).toBeInstanceOf(ControllerError)
      await until(async () => (await service.connections()) === 0)
    })
  })
}

/** One link, and all that came through it. */
interface LinkRecord extends Recorded {
  readonly link: Link
  /** Those with these numbers, as they were delivered last. */
  pick(...numbers: readonly number[]): readonly Delivery[]
  /** In the journal and then with the driver, as jobs and source do. */
  settle(deliveries: readonly Delivery[], outcome?: Outcome): Promise<void>
}

interface Recorded {
  readonly host: DriverHost
  readonly delivered: readonly Delivery[]
  readonly lost: readonly ControllerError[]
  setCredit(events: number): void
  /** What the driver did against its contract. */
  readonly breaches: readonly string[]
  /** The numbers of what was delivered, in their order and with repeats. */
  numbers(): readonly number[]
  unsettled(): readonly Delivery[]
  forget(deliveries: readonly Delivery[]): void
}

const recordLink = async (service: Service, credit: number): Promise<LinkRecord> => {
  const recorded = createHost(service.source, credit)
  const link = await service.driver.connect(recorded.host)
  return {
    ...recorded,
    link,
    setCredit(events) {
      recorded.setCredit(events)
      link.creditChanged()
    },
    pick: (...wanted) => wanted.flatMap((no) => recorded.delivered.findLast((one) => numberOf(one) === no) ?? []),
    async settle(deliveries, outcome = 'ack') {
      await service.settleRows?.(deliveries, outcome)
      const batch = deliveries.map(({ receipt }) => ({ receipt, outcome }))
      recorded.forget(deliveries)
      link.settle(batch)
    },
  }
}

const createHost = (source: string, credit: number): Recorded => {
  const delivered: Delivery[] = []
  const inHand = new Map<number, Delivery>()
  const receipts = new Set<number>()
  const lost: ControllerError[] = []
  const breaches: string[] = []
  let events = credit
  const breach = (happened: boolean, what: string) => happened && breaches.push(what)

  const host: DriverHost = {
    source,
    get credit() {
      return { events, bytes: 1_000_000 }
    },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    deliver(batch) {
      breach(batch.length === 0, 'an empty batch')
      breach(lost.length > 0, 'a delivery after lost')
      for (const delivery of batch) {
        breach(receipts.has(delivery.receipt), `receipt ${delivery.receipt} twice`)
        receipts.add(delivery.receipt)
        inHand.set(delivery.receipt, delivery)
        delivered.push(delivery)
      }
      breach(inHand.size > events, `${inHand.size} unsettled with a credit of ${events}`)
    },
    lost(error) {
      lost.push(error)
      breach(lost.length > 1, 'lost twice')
    },
    gauge() {},
    count() {},
  }
  return {
    host,
    delivered,
    lost,
    breaches,
    setCredit(next) {
      events = next
    },
    numbers: () => delivered.map(numberOf).toSorted((a, b) => a - b),
    unsettled: () => [...inHand.values()],
    forget: (deliveries) => deliveries.forEach(({ receipt }) => void inHand.delete(receipt)),
  }
}

const numberOf = ({ event }: Delivery): number => (event.data as { no: number }).no
