/**
 * The program. The only file of `src` that touches the process: its arguments, environment, signals, output and exit code.
 */
// Attack: Node.js would open its inspector on a port of this machine, which reads every secret. A listener replaces that.
process.on('SIGUSR1', () => undefined)

try {
  // Not imported above: only here a missing package is noticed.
  const [{ run }, { createProcessIo }] = await Promise.all([
    import('./cli/run.ts'),
    import('./cli/process-io.ts'),
  ])
  process.exitCode = await run(process.argv.slice(2), createProcessIo(process))
} catch (error) {
  if (!(error as Error).message.startsWith('Cannot find package')) throw error
  process.stderr.write('quay-proxy: its packages are not installed: run npm ci\n')
  process.exitCode = 2
}
