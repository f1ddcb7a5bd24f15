import { defineConfig } from 'vitest/config'
import { faultTable } from './test/faults/table.ts'
import { closingLine } from './test/support/closingLine.ts'
import { fullFaults } from './vitest.config.ts'

/** `npm run test:faults`: the whole fault matrix with its full figures. One row: `-- -t 'row 4:'`. */
export default defineConfig({
  test: { ...fullFaults, reporters: ['verbose', faultTable('docs'), closingLine()] },
})
