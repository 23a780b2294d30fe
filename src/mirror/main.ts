/**
 * The program `ci-images-mirror`: its arguments, environment, signals, output and exit code.
 */
import { createProcessIo } from './process-io.ts'
import { run } from './run.ts'

// Attack: Node.js would open its inspector on a port of this machine, which reads every secret. A listener replaces that.
process.on('SIGUSR1', () => undefined)

process.exitCode = await run(process.argv.slice(2), createProcessIo(process))
