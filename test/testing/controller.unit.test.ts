import { afterEach, describe, expect, test } from 'vitest'
import { ignore, kafka, on, poll, rabbitmq, tableQueue, unsigned, webhook } from '../../src/index.ts'
import { type TestController, type TestDefinition, type TestOptions, testController } from '../../src/testing.ts'

const open: TestController[] = []
afterEach(async () => {
  for (const controller of open.splice(0)) await controller[Symbol.asyncDispose]()
})

const started = async (definition: TestDefinition, options?: TestOptions): Promise<TestController> => {
  const controller = await testController(definition, options)
  open.push(controller)
  return controller
}

/** Fails so many times, then says which run it was. */
const failing = (times: number) => {
  let runs = 0
  return async (): Promise<number> => {
    if (++runs <= times) throw new Error(`run ${runs}`)
    return runs
  }
}

describe('a handler under test', () => {
  test('is settled with what it returned, emitted and counted', async () => {
    const controller = await started({
      handlers: [
        on('order.created', (event, { emit, counter }) => {
          emit('order.booked', { of: event.id })
          counter('orders').add(2)
          return 'booked'
        }),
        ignore('order.booked'),
      ],
    })
    expect(await controller.send('order.created', { no: 1 }, { id: 'o1' })).toEqual({
      id: 'o1',
      type: 'order.created',
      source: 'test',
      result: 'done',
      value: 'booked',
    })
    expect(controller.emitted).toMatchObject([{ id: 'o1/1', type: 'order.booked', data: { of: 'o1' } }])
    expect(controller.counters).toEqual({ orders: 2 })
    await controller.idle()
    expect(controller.settled.map(({ type, source, result }) => [type, source, result])).toEqual([
      ['order.created', 'test', 'done'],
      ['order.booked', 'journal', 'ignored'],
    ])
  })

  test('that fails is retried when the clock says so, not before', async () => {
    const handle = failing(2)
    const retry = { attempts: 5, inPlace: 0, backoff: '10m', maxBackoff: '10m' } as const
    const controller = await started({ handlers: [on('a', { retry }, handle)] })
    expect(await controller.send('a')).toMatchObject({ result: 'retried', error: { message: 'run 1' } })
    await controller.advance('59s')
    expect(controller.settled).toHaveLength(1)
    await controller.advance('10m')
    expect(controller.settled.slice(0, 2)).toMatchObject([
      { result: 'retried' },
      { result: 'retried', source: 'journal' },
    ])
    await controller.idle()
    expect(controller.settled.at(-1)).toMatchObject({ result: 'done', value: 3 })
  })

  test('that always fails is parked with its history, and runs again when it is redriven', async () => {
    const controller = await started({
      handlers: [on('a', { retry: { attempts: 2, inPlace: 0 } }, failing(2))],
    })
    await controller.send('a', { no: 7 }, { id: 'poison' })
    await controller.idle()
    expect(controller.parked).toMatchObject([{ id: 'poison', attempts: 2, event: { data: { no: 7 } } }])
    expect(controller.parked[0]?.history.map(({ error }) => error.message)).toEqual(['run 1', 'run 2'])
    expect(await controller.redrive()).toBe(1)
    await controller.idle()
    expect(controller.parked).toEqual([])
    expect(controller.settled.at(-1)).toMatchObject({ result: 'done' })
  })

  test('that hangs is timed out by the clock of the test and parked', async () => {
    const signals: boolean[] = []
    const controller = await started({
      handlers: [
        on('a', { timeout: '2h' }, (_event, { signal }) => {
          signal.addEventListener('abort', () => signals.push(true))
          return new Promise(() => undefined)
        }),
      ],
    })
    const settled = controller.send('a')
    await controller.advance('119m')
    expect(controller.settled).toEqual([])
    await controller.advance('2m')
    expect(await settled).toMatchObject({ result: 'parked', error: { code: 'HANDLER_TIMED_OUT' } })
    expect(signals).toEqual([true])
  })

  test('gets what its sender would send: JSON, and a payload that does not fit its schema is parked', async () => {
    const seen: unknown[] = []
    const controller = await started({ handlers: [on('a', (event) => void seen.push(event.data))] })
    await controller.send('a', { at: new Date(0), gone: undefined })
    expect(seen).toEqual([{ at: '1970-01-01T00:00:00.000Z' }])
    expect(await controller.send('nobody')).toMatchObject({ result: 'parked', error: { code: 'EVENT_UNHANDLED' } })
  })

  test('a duplicate is dropped only when the first one succeeded', async () => {
    const controller = await started({
      handlers: [on('a', { dedup: '1h', retry: { attempts: 3, inPlace: 0 } }, failing(1))],
    })
    expect(await controller.send('a', 1, { id: 'x' })).toMatchObject({ result: 'retried' })
    await controller.idle()
    expect(await controller.send('a', 1, { id: 'x' })).toMatchObject({ result: 'duplicate' })
    await controller.advance('2h')
    expect(await controller.send('a', 1, { id: 'x' })).toMatchObject({ result: 'done' })
  })

  test('an atomic one commits its statements, emits and counters together, and a failure leaves nothing of them', async () => {
    let failures = 1
    const controller = await started(
      {
        handlers: [
          on('pay', { atomic: 'ledger', retry: { attempts: 2, inPlace: 0 } }, async (event, { tx, emit, counter }) => {
            const { rows } = await tx.query('select balance from account where id = $1', [1])
            await tx.query('insert into ledger values ($1)', [event.id])
            emit('paid', rows[0])
            counter('paid').add(1)
            if (failures-- > 0) throw new Error('late')
          }),
          ignore('paid'),
        ],
      },
      { query: (text) => (text.startsWith('select') ? [{ balance: 5 }] : []) },
    )
    expect(await controller.send('pay', {}, { id: 'p1' })).toMatchObject({ result: 'retried' })
    expect([controller.statements, controller.emitted, controller.counters]).toEqual([[], [], {}])
    await controller.idle()
    expect(controller.statements.map(({ values }) => values)).toEqual([[1], ['p1']])
    expect(controller.emitted).toMatchObject([{ data: { balance: 5 } }])
    expect(controller.counters).toEqual({ paid: 1 })
  })

  test('events of one key run in order, others beside them', async () => {
    const log: string[] = []
    const controller = await started({
      handlers: [
        on('step', async ({ id }) => {
          log.push(`${id} begins`)
          await new Promise(setImmediate)
          log.push(`${id} ends`)
        }),
      ],
    })
    await Promise.all([
      controller.send('step', 0, { id: 'a1', key: 'a' }),
      controller.send('step', 0, { id: 'a2', key: 'a' }),
      controller.send('step', 0, { id: 'b1', key: 'b' }),
    ])
    expect(log.indexOf('a2 begins')).toBeGreaterThan(log.indexOf('a1 ends'))
    expect(log.indexOf('b1 begins')).toBeLessThan(log.indexOf('a1 ends'))
  })
})

describe('a controller under test that dies or drains', () => {
  const sources = {
    orders: rabbitmq({ queue: 'orders' }),
    stock: kafka({ topics: ['stock'], groupId: 'g' }),
    rows: poll({ table: 't', where: 'true', mark: { seen: 'yes' }, type: 'a' }),
    hooks: webhook({ path: '/hook', signature: unsigned(), type: 'a' }),
    tasks: tableQueue({ queue: 'tasks' }),
  }

  test.each(Object.keys(sources))('after a crash the event of %s comes again, and is settled once', async (source) => {
    let runs = 0
    const controller = await started({
      sources,
      handlers: [on('a', () => (++runs === 1 ? new Promise(() => undefined) : `run ${runs}`))],
    })
    const settled = controller.send('a', {}, { source })
    await controller.advance('1s')
    expect(runs).toBe(1)
    await controller.crash()
    expect(await settled).toMatchObject({ result: 'done', value: 'run 2' })
    await controller.advance('1h')
    expect(controller.settled).toHaveLength(1)
  })

  test('what a dead process still does has no effect', async () => {
    const go = Promise.withResolvers<void>()
    let runs = 0
    const controller = await started({
      handlers: [
        on('a', { atomic: true }, async (_event, { tx, counter }) => {
          const run = ++runs
          if (run === 1) await go.promise
          await tx.query(`run ${run}`)
          counter('runs').add(1)
        }),
      ],
    })
    const settled = controller.send('a')
    await controller.advance('1s')
    await controller.crash()
    go.resolve()
    await settled
    await controller.idle()
    expect(runs).toBe(2)
    expect(controller.statements.map(({ text }) => text)).toEqual(['run 2'])
    expect(controller.counters).toEqual({ runs: 1 })
  })

  test('an event that kills the process each time is parked', async () => {
    const controller = await started({ handlers: [on('a', () => new Promise(() => undefined))] })
    const settled = controller.send('a')
    for (let deaths = 0; deaths < 4 && controller.parked.length === 0; deaths++) {
      await controller.crash()
      await controller.advance('1s')
    }
    expect(await settled).toMatchObject({ result: 'parked', error: { code: 'PROCESS_DIED' } })
  })

  test('a drain waits for the running handler and gives back the rest; the next process takes it', async () => {
    const go = Promise.withResolvers<void>()
    const controller = await started({
      concurrency: 1,
      handlers: [on('a', async ({ id }) => (id === 'first' ? go.promise : undefined))],
    })
    const first = controller.send('a', {}, { id: 'first' })
    const second = controller.send('a', {}, { id: 'second' })
    await controller.advance('1s')
    const drained = controller.drain()
    await controller.advance('1s')
    expect(controller.settled.map(({ id, result }) => [id, result])).toEqual([['second', 'released']])
    go.resolve()
    expect(await drained).toMatchObject({ clean: true, report: { test: { counts: { inFlight: 0 } } } })
    expect(await first).toMatchObject({ result: 'done' })
    await expect(controller.send('a')).rejects.toThrow('restart()')
    await controller.restart()
    expect(await second).toMatchObject({ result: 'done' })
  })

  test('a handler that outlives the drain is aborted when the time is up, and its event given back', async () => {
    let runs = 0
    const controller = await started({
      handlers: [on('a', () => (++runs === 1 ? new Promise(() => undefined) : 'late'))],
    })
    const settled = controller.send('a')
    await controller.advance('1s')
    const drained = controller.drain()
    await controller.advance('30s')
    expect(await drained).toMatchObject({ clean: false })
    await controller.restart()
    expect(await settled).toMatchObject({ result: 'done', value: 'late' })
  })

  test('a long handler goes on from its checkpoint after a crash', async () => {
    const pages: number[] = []
    const stop = Promise.withResolvers<never>()
    const controller = await started({
      handlers: [
        on('report', { long: true }, async (_event, { checkpoint, saveCheckpoint }) => {
          for (let page = Number(checkpoint ?? 0); page < 4; page++) {
            pages.push(page)
            await saveCheckpoint(page + 1)
            if (pages.length === 2) await stop.promise
          }
        }),
      ],
    })
    expect(await controller.send('report')).toMatchObject({ result: 'moved' })
    await controller.advance('1s')
    await controller.crash()
    await controller.idle()
    expect(pages).toEqual([0, 1, 2, 3])
    expect(controller.settled.at(-1)).toMatchObject({ source: 'long', result: 'done' })
  })
})

test('handlers that a start would refuse are refused, all problems at once', async () => {
  const handlers = [on('a', { timeout: '5' as '5s' }, () => 1), on('a', () => 2)]
  await expect(testController({ handlers })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    fields: { problems: [{ path: 'handlers[0].timeout' }, { path: 'handlers[1].type' }] },
  })
})

test('a source that is not configured is named', async () => {
  const controller = await started({ handlers: [] })
  await expect(controller.send('a', {}, { source: 'orders' })).rejects.toThrow('There is no source orders')
})
