import type { Reporter, TestModule, Vitest } from 'vitest/node'
import { notTested } from './serverKinds.ts'

/** Says last what could not be tested, and then how it went in one plain line. */
export const closingLine = (): Reporter => {
  let vitest: Vitest | undefined
  return {
    onInit: (started) => {
      vitest = started
    },
    onTestRunEnd: (modules, errors) => {
      const states = modules.flatMap((module) => [...module.children.allTests()].map((test) => test.result().state))
      const count = (state: 'passed' | 'failed' | 'skipped') => states.filter((found) => found === state).length
      const failed = count('failed') + modules.filter(brokenItself).length + errors.length
      const lines = notTested(vitest?.getRootProject().getProvidedContext().unavailable ?? {})
      const skipped = count('skipped') > 0 ? `, ${count('skipped')} skipped` : ''
      vitest?.logger.log([...lines, `${count('passed')} passed, ${failed} failed${skipped}`].join('\n'))
    },
  }
}

/** Failed outside of its tests: it could not be read, a hook of it failed, or it left something open. */
const brokenItself = (module: TestModule): boolean => module.errors().length > 0
