import type { SnapshotFrom } from 'xstate'
import { type controllerMachine, sourceActorId } from '../../machines/controller.ts'
import { nothingCounted, type SourceCounts } from '../../machines/counts.ts'
import type { sourceMachine } from '../../machines/source.ts'

/** The last snapshot of a source; none before the root has been started. */
export const sourceSnapshot = (
  { children }: Pick<SnapshotFrom<typeof controllerMachine>, 'children'>,
  name: string,
): SnapshotFrom<typeof sourceMachine> | undefined =>
  children[sourceActorId(name)]?.getSnapshot() as SnapshotFrom<typeof sourceMachine> | undefined

export const sourceCounts = (root: SnapshotFrom<typeof controllerMachine>, name: string): SourceCounts =>
  sourceSnapshot(root, name)?.context.counts ?? nothingCounted
