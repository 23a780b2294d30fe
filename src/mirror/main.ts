/**
 * The program `ci-images-mirror`: its arguments, environment, signals, output and exit code.
 */
import { createProcessIo } from './process-io.ts'
import { run } from './run.ts'

process.exitCode = await run(process.argv.slice(2), createProcessIo(process))
