import { inject, type RunnerTestFile, TestRunner } from 'vitest'
import { needsOf } from './needs.ts'

/** Skips the files that need a server which could not be had; `closingLine.ts` tells how many tests that were. */
export default class NeedyRunner extends TestRunner {
  override onCollectStart(file: RunnerTestFile): void {
    const unavailable = inject('unavailable')
    const { shared, own } = needsOf(file.filepath)
    if ([...shared, ...own].some((kind) => unavailable[kind] !== undefined)) file.mode = 'skip'
  }
}
