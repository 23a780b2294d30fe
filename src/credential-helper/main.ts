/**
 * The program `docker-credential-quay-proxy`: its arguments, environment, input, output and exit code. Nothing heavy is imported: clients
 * start it for every pull.
 */
import { run } from './run.ts'

const { stdout, stderr, exitCode } = await run(process.argv.slice(2), {
  environment: process.env,
  input: process.stdin,
})
process.stdout.write(stdout)
process.stderr.write(stderr)
process.exitCode = exitCode
