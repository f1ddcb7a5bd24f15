/** The machine definitions, for tests and tools of your own: `koksmat-controller/machines`. */
export { controllerMachine } from './controller.ts'
export { createScheduler, type Job, type Scheduler, type Work } from './jobs.ts'
export { controllerEventTypes, type MatrixRow, matrixOf, sourceEventTypes } from './matrix.ts'
export { sourceMachine } from './source.ts'
