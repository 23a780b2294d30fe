/** Runs `oc` with a deadline. Errors quote nothing of its output, which may be a token. */
import { spawn } from 'node:child_process'
import { HelperError } from './helper-error.ts'
import type { Environment } from './settings.ts'

export interface OcOptions {
  readonly environment: Environment
  readonly deadlineMs: number
}

export interface OcResult {
  readonly succeeded: boolean
  readonly stdout: string
  readonly stderr: string
}

/** Characters of each output. */
const maxLength = 64 * 1024

/** @throws {HelperError} if there is no `oc`, or it does not end in time */
export const runOc = async (
  args: readonly string[],
  { environment, deadlineMs }: OcOptions,
): Promise<OcResult> => {
  const { promise, resolve, reject } = Promise.withResolvers<OcResult>()
  // Without an input, because nobody would see a prompt for a password.
  const oc = spawn('oc', args, { env: { ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    oc[name].setEncoding('utf8').on('data', (chunk: string) => {
      if (output[name].length < maxLength) output[name] += chunk
    })
  const late = setTimeout(() => {
    oc.kill('SIGKILL')
    // A child process of `oc` may keep the pipes open.
    oc.stdout.destroy()
    oc.stderr.destroy()
    reject(new HelperError(`oc did not answer within ${deadlineMs / 1000} s: check that oc whoami works`))
  }, deadlineMs)
  oc.on('error', (error: NodeJS.ErrnoException) => {
    const why =
      error.code === 'ENOENT' ? 'oc is not on the PATH: install it' : `oc cannot be started (${error.code})`
    reject(new HelperError(`${why}, then oc login`))
  })
  oc.on('close', (code) => resolve({ succeeded: code === 0, ...output }))
  return await promise.finally(() => clearTimeout(late))
}
