import { expect, test } from 'vitest'
import { handlerLogOf } from '../../src/jobs/handlerLog.ts'

const said = () => {
  const lines: unknown[][] = []
  const say =
    (level: string) =>
    (...given: unknown[]) =>
      void lines.push([level, ...given])
  const log = handlerLogOf({ debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') })
  return { log, lines }
}

test('a handler logs fields and a message, or either alone', () => {
  const { log, lines } = said()
  const failure = new Error('no paper')
  log.info({ total: 3 }, 'order taken')
  log.debug('order taken')
  log.warn({ total: 3 })
  log.error(failure)
  expect(lines).toEqual([
    ['info', { total: 3 }, 'order taken'],
    ['debug', {}, 'order taken'],
    ['warn', { total: 3 }, ''],
    ['error', failure, 'no paper'],
  ])
})

test.each([[[]], [[undefined]], [[null, null]], [[7, 8]], [['order', { total: 3 }]]])(
  'a line that nobody checked, %j, throws nothing',
  (given) => {
    const { log, lines } = said()
    Reflect.apply(log.info, undefined, given)
    expect(lines).toHaveLength(1)
  },
)
