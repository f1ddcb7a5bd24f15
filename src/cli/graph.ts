import { controllerMachine, sourceActorId } from '../../machines/controller.ts'
import { ControllerError } from '../../machines/errors.ts'
import { sourceMachine } from '../../machines/source.ts'
import { loadDefinition } from '../config/load.ts'
import { describeMachine, type MachineGraph, toMermaid } from '../graph.ts'
import { createAdminClient } from './adminClient.ts'
import type { Output } from './output.ts'

/** The machines of the controller that runs, with their states; of the configuration where none runs. */
export const showGraph = async (format: string, config: string | undefined, output: Output): Promise<void> => {
  const graphs = await createAdminClient()
    .get<readonly MachineGraph[]>('/graph')
    .catch((thrown: unknown) => definedGraphs(config, thrown))
  if (format === 'json') output.result(graphs, JSON.stringify(graphs, undefined, 2))
  else {
    const mermaid = toMermaid(graphs)
    output.result({ mermaid }, mermaid)
  }
}

const definedGraphs = async (config: string | undefined, thrown: unknown): Promise<readonly MachineGraph[]> => {
  if (!isCoded(thrown, 'NOT_RUNNING')) throw thrown
  const { definition } = await loadDefinition(config).catch((cause: unknown) => {
    // Without a name and without a file nothing was asked for but the running one.
    throw config === undefined && isCoded(cause, 'CONFIG_NOT_FOUND') ? thrown : cause
  })
  return [
    describeMachine('controller', controllerMachine),
    ...Object.keys(definition.sources).map((name) => describeMachine(sourceActorId(name), sourceMachine)),
  ]
}

const isCoded = (thrown: unknown, code: ControllerError['code']): boolean =>
  thrown instanceof ControllerError && thrown.code === code
