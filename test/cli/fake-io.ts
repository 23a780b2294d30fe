/** A process for commands that run within the process of the test. */
import { Readable } from 'node:stream'
import type { Test } from 'tap'
import type { Io } from '../../src/cli/io.ts'
import { run } from '../../src/cli/run.ts'

export interface FakeIoOptions {
  readonly environment?: Io['environment']
  /** Standard input. */
  readonly input?: string
  readonly isInputTerminal?: boolean
  /** Called with each line for standard output. */
  readonly onPrint?: (line: string) => void
}

type End = Parameters<Io['onEnd']>
type Listening = Parameters<Io['onSignal']>

export interface FakeIo {
  readonly io: Io
  /** Lines of standard output, as they were printed. */
  readonly printed: readonly string[]
  /** Lines of standard error. */
  readonly errors: readonly string[]
  /** Lines of the log. */
  readonly log: readonly string[]
  /** What `onEnd` was called with. */
  readonly ends: readonly End[]
  /** What `onSignal` was called with. */
  readonly signals: readonly Listening[]
}

export const fakeIo = ({
  environment = {},
  input = '',
  isInputTerminal = false,
  onPrint = () => undefined,
}: FakeIoOptions = {}): FakeIo => {
  const [printed, errors, log, ends, signals]: [string[], string[], string[], End[], Listening[]] = [
    [],
    [],
    [],
    [],
    [],
  ]
  const io: Io = {
    environment,
    print: (line) => {
      printed.push(line)
      onPrint(line)
    },
    printError: (line) => void errors.push(line),
    openInput: () => Readable.from([input]),
    isInputTerminal,
    openLog: () => ({ write: (line) => void log.push(line), flushSync: () => undefined }),
    onEnd: (...end) => void ends.push(end),
    onSignal: (...listening) => void signals.push(listening),
  }
  return { io, printed, errors, log, ends, signals }
}

/** A command that has ended: its exit code, and what it wrote. */
export const ended = async (args: readonly string[], options: FakeIoOptions = {}) => {
  const { io, printed, errors } = fakeIo(options)
  const code = await run(args, io)
  return { code, stdout: printed.join('\n'), stderr: errors }
}

/** It did not start: each problem on a line of its own, for a person. */
export const refused = async (
  test: Test,
  args: readonly string[],
  problems: readonly (string | RegExp)[],
  environment: Record<string, string> = {},
): Promise<void> => {
  const { code, stdout, stderr } = await ended(args, { environment })
  test.equal(code, 2, 'exit code')
  test.equal(stdout, '', 'nothing on stdout')
  testProblems(test, stderr, problems)
}

/** @param stderr its lines */
export const testProblems = (
  test: Test,
  stderr: readonly string[],
  problems: readonly (string | RegExp)[],
): void => {
  test.match(
    stderr,
    problems.map((problem) =>
      typeof problem === 'string' ? `quay-proxy: ${problem}` : new RegExp(`^quay-proxy: ${problem.source}`),
    ),
  )
  test.equal(stderr.length, problems.length, stderr.join('\n'))
  test.notMatch(stderr.join('\n'), /^ {4}at |hunter2|PRIVATE KEY/m)
}
