import { guarded } from './guarded.ts'
import { startPostgresServer } from './postgresServer.ts'

/** Stands for a test run that has started a server and a process that ignores everything, and dies. */
const home = guarded('run')
const sleeper = home.start('sh', ['-c', `trap '' HUP INT TERM; touch file; echo up; while :; do sleep 1; done`], {
  PATH: process.env['PATH'],
})
const { url } = await startPostgresServer()
process.stdout.write(`${JSON.stringify({ folder: home.folder, sleeper: sleeper.pid, url })}\n`)
