/**
 * Runs the program: parses the arguments, and prints the result. Clients give the action as the first argument; flags may come before or
 * after it.
 */
import { findCredential } from './credential.ts'
import { dockerActions } from './docker-protocol.ts'
import { HelperError } from './helper-error.ts'
import { answerKubelet } from './kubelet-protocol.ts'
import { readSettings, type Environment } from './settings.ts'

export interface HelperIo {
  readonly environment: Environment
  readonly input: AsyncIterable<Uint8Array | string>
  /** For `oc`. */
  readonly deadlineMs?: number
}

export interface Output {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

const program = 'docker-credential-quay-proxy'

export const usage = `Usage: ${program} <get|store|erase|list|version|kubelet> [--token-file=FILE] [--service-account=NAMESPACE/NAME]
  [--duration=1h] [--hosts=HOST,HOST] [--context=NAME] [--cluster-url=URL]
`

/** Shorter than the minute that the kubelet waits, and short enough for a person. */
const ocDeadlineMs = 20_000

export const run = async (args: readonly string[], io: HelperIo): Promise<Output> => {
  const flags = args.filter(isFlag)
  const [action = '', ...more] = args.filter((arg) => !isFlag(arg))
  if (['help', '--help', '-h'].includes(action)) return { stdout: usage, stderr: '', exitCode: 0 }
  if (['version', '--version', '-v'].includes(action))
    return { stdout: await readVersion(), stderr: '', exitCode: 0 }
  const answer = action === 'kubelet' ? answerKubelet : ownAction(action)
  if (answer === undefined || more.length > 0) return { stdout: usage, stderr: '', exitCode: 1 }
  try {
    const settings = readSettings(flags, io.environment)
    const find = async () => await findCredential(settings, { deadlineMs: ocDeadlineMs, ...io })
    const input = action === 'list' ? '' : await readInput(io)
    const answered = await answer({ input, hosts: settings.hosts, find })
    const stdout = answered === undefined ? '' : `${JSON.stringify(answered)}\n`
    return { stdout, stderr: '', exitCode: 0 }
  } catch (error) {
    if (!(error instanceof HelperError)) throw error
    const text = `${error.message}\n`
    // Clients of docker's protocol show the output, the kubelet logs the error output.
    return action === 'kubelet'
      ? { stdout: '', stderr: text, exitCode: 1 }
      : { stdout: text, stderr: '', exitCode: 1 }
  }
}

const isFlag = (arg: string): boolean => /^--[a-z-]+=/.test(arg)

const ownAction = (action: string) =>
  Object.hasOwn(dockerActions, action) ? dockerActions[action] : undefined

/** Imported only here, so that clients do not wait for it. */
const readVersion = async (): Promise<string> => {
  const { version } = await import('../config/version.ts')
  return `${program} (quay-proxy) ${version}\n`
}

/** Characters. A request of the kubelet has a token. */
const maxInputLength = 64 * 1024

const readInput = async ({ input }: HelperIo): Promise<string> => {
  let text = ''
  for await (const chunk of input) {
    text += chunk.toString()
    if (text.length > maxInputLength) throw new HelperError('the input is too long')
  }
  return text
}
