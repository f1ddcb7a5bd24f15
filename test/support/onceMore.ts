import { ServerUnavailable } from './serverKinds.ts'

/** A port that was free may be taken before its server listens; then the server is started once more, on another one. */
export const onceMore =
  <Args extends readonly unknown[], Server>(start: (...args: Args) => Promise<Server>) =>
  async (...args: Args): Promise<Server> => {
    try {
      return await start(...args)
    } catch (thrown) {
      if (!(thrown instanceof ServerUnavailable)) throw thrown
      return start(...args)
    }
  }
