import type { ArrivedEvent, HandlerContext } from '../../../src/index.ts'

export const demoHook = (_event: ArrivedEvent, { log }: HandlerContext): void => {
  log.info({}, 'webhook handled')
}
