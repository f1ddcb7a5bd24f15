import { setFlagsFromString } from 'node:v8'

/**
 * For a process that is a controller and nothing else. V8 looks at what outlives its first collections, when its heap is
 * small and a window of events fills it, and from then on may make such objects as old ones, which only a full
 * collection takes: hundreds of bytes of each event, for as long as the process lives. This keeps it from that.
 */
export const makeObjectsYoung = (): void => setFlagsFromString('--no-allocation-site-pretenuring')
