/**
 * The program `ci-images-mirror`: its arguments, environment, signals, output and exit code.
 */
import { run } from './run.ts'

process.exitCode = await run(process.argv.slice(2), {
  environment: process.env,
  print: (text) => void process.stdout.write(`${text}\n`),
  printError: (text) => void process.stderr.write(`${text}\n`),
  onEnd: (end) => {
    let isEnding = false
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => {
        if (isEnding) process.exit(1)
        isEnding = true
        void end()
      })
  },
})
