import { join } from 'node:path'

/** Where the embedded PostgreSQL of a working folder lives. */
export const embeddedFolder = (workingFolder: string): string => join(workingFolder, '.koksmat')
