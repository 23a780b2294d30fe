/**
 * Programs in processes of their own. The runner puts its loaders and its coverage into each Node.js that a test starts, which takes
 * several times as long as the start itself, and keeps the program from its compile cache.
 */
import { spawn, type ChildProcessWithoutNullStreams, type SpawnOptionsWithoutStdio } from 'node:child_process'

/**
 * The command that starts Node.js without the loaders of the runner: `env` removes the variables of the runner, and becomes Node.js, with
 * the same process id.
 */
export const plainNode = (...args: readonly string[]): [command: string, args: string[]] => [
  'env',
  ['-u', 'NODE_OPTIONS', process.execPath, ...args],
]

/** Without the runner's loaders. Nothing that it runs counts as covered. */
export const spawnPlainNode = (
  args: readonly string[],
  options: SpawnOptionsWithoutStdio = {},
): ChildProcessWithoutNullStreams => spawn(...plainNode(...args), options)
