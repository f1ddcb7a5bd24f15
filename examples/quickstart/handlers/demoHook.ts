import type { ArrivedEvent, HandlerContext } from '../../../src/index.ts'

export const demoHook = (event: ArrivedEvent, { log }: HandlerContext): void => {
  log.info({ id: event.id, data: event.data }, 'webhook handled')
}
