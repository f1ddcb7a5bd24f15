#!/usr/bin/env node
import { runCli } from './cli/program.ts'
import { makeObjectsYoung } from './heap.ts'

makeObjectsYoung()
process.exit(await runCli(process.argv.slice(2)))
