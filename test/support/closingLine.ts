import type { Reporter, TestModule, Vitest } from 'vitest/node'
import { needsOf } from './needs.ts'
import { type NeedKind, needKinds } from './serverKinds.ts'

/**
 * Says last what could not be tested and why, and then how it went in one plain line. With `CI=true` a test that could
 * not run for want of a server or a browser has failed.
 */
export const closingLine = (): Reporter => {
  let vitest: Vitest | undefined
  return {
    onInit: (started) => {
      vitest = started
    },
    onTestRunEnd: (modules, errors) => {
      const unavailable = vitest?.getRootProject().getProvidedContext().unavailable ?? {}
      const untested = modules.filter((module) => needs(module).some((kind) => unavailable[kind] !== undefined))
      const mustRun = process.env['CI'] === 'true'
      if (mustRun && untested.length > 0) process.exitCode = 1

      const passed = sum(modules, (module) => count(module, 'passed'))
      const broken = sum(modules, (module) => count(module, 'failed'))
      const notRun = sum(modules, (module) => count(module)) - passed - broken
      const missed = mustRun ? sum(untested, (module) => count(module)) : 0
      const outside = modules.filter((module) => module.errors().length > 0).length + errors.length
      const reasons = needKinds
        .filter((kind) => unavailable[kind] !== undefined)
        .map((kind) => {
          const tests = sum(
            untested.filter((module) => needs(module).includes(kind)),
            (module) => count(module),
          )
          return `NOT TESTED: ${tests} tests need ${kind}, which could not be had: ${unavailable[kind]}`
        })
      const skipped = modules.filter((module) => !untested.includes(module)).flatMap(skippedIn)
      const summary = `${passed} passed, ${broken + outside + missed} failed${notRun > missed ? `, ${notRun - missed} skipped` : ''}`
      vitest?.logger.log([...reasons, ...skipped, summary].join('\n'))
    },
  }
}

const needs = (module: TestModule): NeedKind[] => {
  const { shared, own } = needsOf(module.moduleId)
  return [...shared, ...own]
}

/** Each that skipped itself, with the reason that it gave. */
const skippedIn = (module: TestModule): string[] =>
  [...module.children.allTests()].flatMap((test) => {
    const result = test.result()
    if (result.state !== 'skipped' || result.note === undefined) return []
    return `NOT TESTED: ${test.name}: ${result.note}`
  })

const count = (module: TestModule, state?: 'passed' | 'failed'): number =>
  [...module.children.allTests()].filter((test) => state === undefined || test.result().state === state).length

const sum = (modules: readonly TestModule[], number: (module: TestModule) => number): number =>
  modules.reduce((total, module) => total + number(module), 0)
