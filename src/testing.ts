/** Trying machines and handlers without a process, a broker or a database: `koksmat-controller/testing`. */
export { type CheckOptions, checkMachine, type Finding } from './testing/check.ts'
export {
  type SendOptions,
  type Settled,
  type TestController,
  type TestDefinition,
  type TestOptions,
  testController,
} from './testing/controller.ts'
export {
  type Answering,
  type Step,
  type Walk,
  type WalkedState,
  type WalkOptions,
  walkMachine,
} from './testing/walk.ts'
