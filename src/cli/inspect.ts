import { listenForEnd } from '../signals.ts'
import { createAdminClient } from './adminClient.ts'
import type { Output } from './output.ts'
import { openStatelyBridge } from './statelyBridge.ts'

export interface InspectOptions {
  readonly stately?: true
  readonly page: string
  readonly port: number
}

/**
 * Says where the inspector of the running controller is; with `stately`, passes it on to Stately's until it is told to end.
 * @throws ControllerError NOT_RUNNING, PORT_IN_USE, USAGE where there is no inspector, or it wants another token
 */
export const inspect = async ({ stately, page, port }: InspectOptions, output: Output): Promise<void> => {
  const { get, base, token } = createAdminClient()
  const { role } = await get<{ role: string }>('/inspector/session')
  const address = `${base}/inspector/`
  if (stately === undefined) return output.result({ address, role }, address)
  const from = `${base.replace(/^http/, 'ws')}/inspector/stately`
  const bridge = await openStatelyBridge({ from, token, to: page, port })
  const end = listenForEnd(() => undefined)
  output.result({ address: bridge.address, page }, `Open ${bridge.address} in a browser; Ctrl-C ends it.`)
  await end.told
  end.stop()
  await bridge.close()
}
