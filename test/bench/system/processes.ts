/**
 * Processes and directories that end with the run, also after an error or Ctrl-C. Each process is ended by its pid.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { plainEnv } from '../../e2e/process.ts'

export interface Running extends AsyncDisposable {
  readonly pid: number
  /** The file of its standard output and standard error. */
  readonly log: string
}

export interface StartOptions {
  /** The directory of its log, `<directory>/<name>.log`. */
  readonly directory: string
  readonly name: string
  /** Whether it is ready. */
  readonly ready: () => Promise<boolean>
  /** Milliseconds until it must be ready; 20 s unless given. */
  readonly maxWaitMs?: number
}

const running = new Set<ChildProcess>()
/** Processes that lead a process group. */
const groups = new WeakSet<ChildProcess>()
const directories = new Set<string>()

/** Milliseconds until a server must be ready, and until it must have ended. */
const usualPatienceMs = 20_000
const insistAfterMs = 5000

/** @throws {Error} with its log, if it does not get ready */
export const start = async (
  command: string,
  args: readonly string[],
  options: StartOptions,
): Promise<Running> => {
  const { directory, name, ready, maxWaitMs = usualPatienceMs } = options
  const log = join(directory, `${name}.log`)
  const file = openSync(log, 'a', 0o600)
  const child = spawn(command, args, { cwd: directory, env: plainEnv(), stdio: ['ignore', file, file] })
  closeSync(file)
  const failed = new Promise<never>((_resolve, reject) => child.once('error', reject))
  failed.catch(() => undefined)
  track(child)
  const deadline = performance.now() + maxWaitMs
  while (!(await Promise.race([failed, ready().catch(() => false)]))) {
    if (isOver(child) || performance.now() > deadline) {
      await end(child)
      throw new Error(`${name} did not get ready:\n${readFileSync(log, 'utf8').slice(-2000)}`)
    }
    await sleep(20)
  }
  return { pid: child.pid!, log, [Symbol.asyncDispose]: async () => await end(child) }
}

/** A client of the benchmark in a process of its own. It prints JSON, one value a line. */
export interface Client<Told> extends AsyncDisposable {
  readonly pid: number
  /** The next value. @throws {Error} if the process ends first */
  readonly next: () => Promise<Told>
  /** Ends it with SIGTERM. */
  readonly end: () => void
}

/** @param input passed as JSON in its environment */
export const startClient = <Told>(file: string, input: unknown): Client<Told> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../clients', file)], {
    env: plainEnv({ BENCH_INPUT: JSON.stringify(input) }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  track(child)
  const lines = linesOf(child)
  const next = async () => {
    const { value, done } = await lines.next()
    if (done === true) throw new Error(`${file} ended with ${child.exitCode ?? child.signalCode}`)
    return JSON.parse(value) as Told
  }
  return {
    pid: child.pid!,
    next,
    end: () => void child.kill('SIGTERM'),
    [Symbol.asyncDispose]: async () => await end(child),
  }
}

async function* linesOf(child: ChildProcess): AsyncGenerator<string, void> {
  let rest = ''
  for await (const chunk of child.stdout!.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}

/** Runs a tool to its end. @throws {Error} with its output, if it fails */
export const runTool = async (
  command: string,
  args: readonly string[],
): Promise<{ stdout: string; stderr: string }> => {
  // A process group of its own, so that the children of a shell end with it.
  const child = spawn(command, args, { env: plainEnv(), stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  groups.add(child)
  track(child)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${code ?? child.signalCode}: ${stdout}${stderr}`)
  return { stdout, stderr }
}

/** A temporary directory of this run. */
export const scratch = async (): Promise<AsyncDisposable & { readonly path: string }> => {
  const path = await mkdtemp(join(tmpdir(), 'quay-proxy-bench-'))
  directories.add(path)
  return { path, [Symbol.asyncDispose]: async () => remove(path) }
}

/** For an end by an error or a signal. */
export const endEverything = async (): Promise<void> => {
  await Promise.all([...running].map(end))
  for (const path of directories) remove(path)
}

export const accepts = async (port: number): Promise<boolean> => {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } finally {
    socket.destroy()
  }
}

const remove = (path: string): void => {
  rmSync(path, { recursive: true, force: true })
  directories.delete(path)
}

const track = (child: ChildProcess): void => {
  running.add(child)
  child.once('error', () => running.delete(child))
  child.once('close', () => running.delete(child))
}

const isOver = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

const end = async (child: ChildProcess): Promise<void> => {
  if (child.pid === undefined || isOver(child)) return
  const closed = once(child, 'exit')
  const id = groups.has(child) ? -child.pid : child.pid
  process.kill(id, 'SIGTERM')
  const insist = setTimeout(() => process.kill(id, 'SIGKILL'), insistAfterMs)
  await closed
  clearTimeout(insist)
}
