import { expect, test } from 'vitest'
import { ControllerError } from '../../machines/errors.ts'
import { type ControllerLog, createLog } from '../../src/log.ts'

const logging = (format: 'json' | 'pretty' = 'json'): { log: ControllerLog; lines: string[] } => {
  const lines: string[] = []
  return {
    log: createLog({ level: 'info', format, to: { write: (line) => void lines.push(line) }, colors: false }),
    lines,
  }
}

const fieldsOf = (line: string | undefined): Record<string, unknown> =>
  JSON.parse(line ?? '') as Record<string, unknown>

test('a line is JSON with its level, time, actor, fields and message', () => {
  const { log, lines } = logging()
  log.child({ actor: 'source:orders' }).info({ tookMs: 3 }, 'source connected')
  expect(fieldsOf(lines[0])).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    actor: 'source:orders',
    tookMs: 3,
    msg: 'source connected',
  })
})

test('a level that is set holds for the log and for the children it has already', () => {
  const { log, lines } = logging()
  const child = log.child({ actor: 'source:orders' })
  expect(log.setLevel?.('debug')).toBe('info')
  child.debug({}, 'polled')
  expect(child.setLevel?.('silent')).toBe('debug')
  log.fatal({}, 'died')
  expect(lines.map((line) => fieldsOf(line)['msg'])).toEqual(['polled'])
})

test('a line below the level is not written', () => {
  const { log, lines } = logging()
  log.debug({}, 'event settled')
  expect(lines).toEqual([])
})

test('on a terminal a line is readable and says its actor', () => {
  const { log, lines } = logging('pretty')
  log.child({ actor: 'source:orders' }).warn({ retryInMs: 250 }, 'source lost')
  expect(lines).toEqual([
    expect.stringMatching(/^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: \[source:orders\] source lost \{"retryInMs":250\}\n$/),
  ])
})

test('no secret is written, at any depth and in any form', () => {
  const { log, lines } = logging()
  const error = new ControllerError('SOURCE_CONNECT_FAILED', 'no answer from amqp://u:canary@host', {
    cause: new Error('postgres://canary@db/x'),
    fields: { apiKey: 'canary', deep: [{ headers: { authorization: 'Bearer canary' } }] },
  })
  log
    .child({ actor: 'a', token: 'canary' })
    .error({ err: error, url: 'https://h/?token=canary', password: ['canary'] }, 'amqp://u:canary@h')
  log.error(error, 'failed')
  expect(lines.join('')).not.toContain('canary')
  expect(fieldsOf(lines[0])).toMatchObject({ err: { code: 'SOURCE_CONNECT_FAILED', cause: { type: 'Error' } } })
  expect(fieldsOf(lines[1])).toMatchObject({ err: { code: 'SOURCE_CONNECT_FAILED' } })
})

test('a number under the name of a secret is shown', () => {
  const { log, lines } = logging()
  log.info({ tokens: 3 }, 'bucket filled')
  expect(fieldsOf(lines[0])).toMatchObject({ tokens: 3 })
})

test.each(['json', 'pretty'] as const)('nobody can forge a %s line from outside', (format) => {
  const { log, lines } = logging(format)
  const evil = 'x\r\n{"level":"info","msg":"forged"}\n\u001b[2J    at forged (/etc/passwd:1:1)'
  log.info({ [evil]: evil, nested: { list: [evil] } }, evil)
  log.info({ err: new Error(`y\n    at forged (/etc/passwd:1:1)\n${evil}`) }, 'failed')
  const written = lines.join('').split('\n')
  expect(written.filter((line) => /^\s*(\{"level":"info","msg":"forged"|at forged)/.test(line))).toEqual([])
  expect(lines.join('')).not.toContain('\u001b')
})

test('the stack of an error shows the places and nothing of the message', () => {
  const { log, lines } = logging()
  log.error({ err: new TypeError('first\n    at forged') }, 'failed')
  const { stack } = fieldsOf(lines[0])['err'] as { stack: string }
  expect(stack.split('\n')[0]).toBe('TypeError: first     at forged')
  expect(stack.split('\n')[1]).toMatch(/^ {4}at .*log\.unit\.test\.ts/)
})

test('what JSON cannot say, and what has no end, is written all the same', () => {
  const { log, lines } = logging()
  const cycle: Record<string, unknown> = {
    n: 1n,
    at: new Date(0),
    bytes: Buffer.from('canary'),
    text: 'x'.repeat(100_000),
  }
  cycle['self'] = cycle
  const error = new Error('e')
  error.cause = error
  log.info({ ...cycle, error, list: new Array(10_000).fill(0) }, 'odd')
  expect(fieldsOf(lines[0])).toMatchObject({ n: '1', at: '1970-01-01T00:00:00.000Z', bytes: '6 bytes' })
  expect(lines[0]?.length).toBeLessThan(200_000)
  expect(lines[0]).not.toContain('canary')
})
